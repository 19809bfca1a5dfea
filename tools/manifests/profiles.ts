import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../workspace.ts";

/** One way to install the platform, with its rendered form in the repository. */
export interface Profile {
  readonly name: string;
  /** Folders and files that decide the outcome, relative to the root. */
  readonly sources: readonly string[];
  /** Renders the profile. */
  readonly command: readonly [tool: "kubectl" | "helm", ...args: string[]];
}

const kustomize = (overlay: string): Profile => ({
  name: `kustomize-${overlay}`,
  sources: ["deploy/kustomize"],
  command: ["kubectl", "kustomize", `deploy/kustomize/overlays/${overlay}`],
});
const helm = (profile: string, ...values: string[]): Profile => ({
  name: `helm-${profile}`,
  sources: ["deploy/helm/servable", ...values],
  // The version is what the schema of newer fields asks for; without a cluster helm would assume its own.
  command: [
    "helm",
    "template",
    "servable",
    "deploy/helm/servable",
    "--namespace",
    "servable",
    "--kube-version",
    "1.35.0",
    ...values.flatMap((file) => ["--values", file]),
  ],
});

/** Every profile; those of Kustomize and Helm come in pairs that describe the same pods. */
export const PROFILES: readonly Profile[] = [
  kustomize("embedded"),
  kustomize("production"),
  helm("embedded"),
  helm("production", "deploy/helm/profiles/production.yaml"),
];

/** Where a profile's rendered form is kept. */
export const goldenPath = (profile: Profile): string => `deploy/rendered/${profile.name}.yaml`;

/** The first line of a rendered form: it names the state of the sources, so that staleness shows without any tool. */
export function goldenHeader(profile: Profile, root: string = ROOT): string {
  return `# Rendered by \`npm run manifests -- --update\` from ${profile.sources.join(", ")} at sha256:${digestOf(profile.sources, root)}.\n`;
}

/** A rendered profile, or why this machine cannot render it. */
export type Rendering = { readonly text: string } | { readonly skipped: string };

/** Renders a profile. @throws Error with the tool's own words when it refuses */
export function render(profile: Profile, root: string = ROOT): Rendering {
  const [tool, ...args] = profile.command;
  // For machines with more than one version.
  const program = process.env[tool.toUpperCase()] ?? tool;
  const run = (...words: string[]): string =>
    execFileSync(program, words, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 * 1024 ** 2,
    });
  try {
    const { versionArgs, wanted } = TOOLS[tool];
    const version = run(...versionArgs);
    return wanted.test(version)
      ? { text: run(...args) }
      : { skipped: `${program} is too old: ${version.trim().replaceAll("\n", ", ")}` };
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") return { skipped: `${program} is not installed` };
    throw new Error(`${profile.command.join(" ")}: ${String(stderr ?? error).trim()}`, { cause: error });
  }
}

/** kubectl before 1.27 has a Kustomize that does not know `labels` with templates; some distributions still carry one. */
const TOOLS = {
  kubectl: { versionArgs: ["version", "--client"], wanted: /Kustomize Version: v([5-9]|[1-9]\d)\./ },
  helm: { versionArgs: ["version", "--short"], wanted: /^v([3-9]|[1-9]\d)\./ },
} as const;

function digestOf(sources: readonly string[], root: string): string {
  const hash = createHash("sha256");
  const paths = sources.flatMap((source) =>
    globSync([source, `${source}/**/*`, `${source}/**/.*`], { cwd: root }).filter((path) =>
      statSync(join(root, path)).isFile(),
    ),
  );
  for (const path of [...new Set(paths)].sort()) {
    const content = readFileSync(join(root, path));
    hash.update(`${path.replaceAll("\\", "/")}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}
