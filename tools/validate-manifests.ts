// Manifests are checked without a cluster and, but for freshness, without any tool: the rendered forms are in the repository,
// with a digest of their sources. Where kubectl and helm are installed they are rendered again and compared; where not, the
// summary says so. That pods start, probes answer and policies hold is for a cluster to show, and is not claimed here.
//
//   npm run manifests                check
//   npm run manifests -- --update    render again (needs kubectl and helm; KUBECTL and HELM may name them)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { callGraphFindings } from "./manifests/call-graph.ts";
import { composeFindings, dockerfileFindings } from "./manifests/container-rules.ts";
import { parseManifests, titleOf, type Manifest } from "./manifests/document.ts";
import { knownVariables } from "./manifests/known-variables.ts";
import { parityFindings } from "./manifests/parity.ts";
import { podFindings } from "./manifests/pod-rules.ts";
import { PROFILES, goldenHeader, goldenPath, render, type Profile } from "./manifests/profiles.ts";
import { referenceFindings } from "./manifests/reference-rules.ts";
import { schemaFindings } from "./manifests/schema.ts";
import { ROOT } from "./workspace.ts";

/** What a check found, and what it could not look at. */
export interface Report {
  readonly findings: readonly string[];
  readonly skipped: readonly string[];
  readonly documentCount: number;
}

/** Checks one rendered profile by schema, by the rules for pods, and by the call graph. */
export async function manifestFindings(
  manifests: readonly Manifest[],
  variables: ReadonlySet<string> = knownVariables(),
): Promise<string[]> {
  const bySchema = await Promise.all(
    manifests.map(async (manifest) =>
      (await schemaFindings(manifest)).map((finding) => `${titleOf(manifest)}: ${finding}`),
    ),
  );
  // Rules read what schemas have vouched for.
  if (bySchema.flat().length > 0) return bySchema.flat();
  return [...podFindings(manifests, variables), ...referenceFindings(manifests), ...callGraphFindings(manifests)];
}

/** Checks everything under deploy/. */
export async function validateManifests(): Promise<Report> {
  const variables = knownVariables();
  const findings = [...dockerfileFindings(), ...composeFindings(variables)];
  const skipped: string[] = [];
  const rendered = new Map<string, Manifest[]>();
  for (const profile of PROFILES) {
    const manifests = readGolden(profile, findings, skipped);
    rendered.set(profile.name, manifests);
    findings.push(...(await manifestFindings(manifests, variables)).map((finding) => `${profile.name}: ${finding}`));
  }
  for (const name of ["embedded", "production"]) {
    findings.push(
      ...parityFindings(rendered.get(`kustomize-${name}`) ?? [], rendered.get(`helm-${name}`) ?? []).map(
        (finding) => `${name}: ${finding}`,
      ),
    );
  }
  return { findings, skipped, documentCount: [...rendered.values()].flat().length };
}

function readGolden(profile: Profile, findings: string[], skipped: string[]): Manifest[] {
  const path = goldenPath(profile);
  if (!existsSync(join(ROOT, path))) {
    findings.push(`${path} is missing: run \`npm run manifests -- --update\``);
    return [];
  }
  const golden = readFileSync(join(ROOT, path), "utf8");
  if (!golden.startsWith(goldenHeader(profile)))
    findings.push(`${path} is older than its sources: run \`npm run manifests -- --update\``);
  const manifests = parseManifests(golden);
  const fresh = render(profile);
  if ("skipped" in fresh) skipped.push(`rendering ${profile.name} afresh: ${fresh.skipped}`);
  // Documents are compared, not text: versions of the tools differ in order and in white space.
  else if (!isDeepStrictEqual(sorted(parseManifests(fresh.text)), sorted(manifests))) {
    findings.push(`${path} differs from what ${profile.command[0]} renders: run \`npm run manifests -- --update\``);
  }
  return manifests;
}

function sorted(manifests: readonly Manifest[]): Manifest[] {
  return manifests.toSorted((a, b) => titleOf(a).localeCompare(titleOf(b)));
}

/** Renders all profiles, then writes them: half of them new would be worse than all of them old. */
function update(): void {
  const texts = PROFILES.map((profile) => {
    const rendering = render(profile);
    if ("text" in rendering) return rendering.text;
    throw new Error(`${profile.name}: ${rendering.skipped}; KUBECTL=/path and HELM=/path name other ones`);
  });
  mkdirSync(join(ROOT, "deploy/rendered"), { recursive: true });
  PROFILES.forEach((profile, index) => {
    writeFileSync(join(ROOT, goldenPath(profile)), goldenHeader(profile) + (texts[index] ?? ""));
  });
}

if (import.meta.main) {
  if (process.argv.includes("--update")) update();
  const { findings, skipped, documentCount } = await validateManifests();
  for (const line of skipped) console.log(`SKIPPED ${line}`);
  for (const line of findings) console.error(line);
  console.log(
    `manifests: ${PROFILES.length} profiles, ${documentCount} documents, ${findings.length} findings, ${skipped.length} skipped`,
  );
  if (findings.length > 0) process.exitCode = 1;
}
