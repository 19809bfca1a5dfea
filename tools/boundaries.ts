// Layers are worth something only while nobody can cross them unseen. Nx's own ESLint rule needs a cached project graph and
// says nothing without one (docs/adr/0006); so the table stands here, and every import of every source file is held
// against it.

import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { isBuiltin } from "node:module";
import ts from "typescript";
import type { Layer, WorkspacePackage } from "./workspace.ts";

/** Which layers a layer's sources may import, besides its own package. */
const ALLOWED: Readonly<Record<Layer, ReadonlySet<Layer>>> = {
  contract: new Set([]),
  core: new Set(["core"]),
  platform: new Set(["contract", "core", "platform"]),
  sdk: new Set(["contract", "core", "platform"]),
  testing: new Set(["contract", "core", "platform", "sdk"]),
  app: new Set(["contract", "core", "platform", "sdk"]),
  e2e: new Set(["contract", "core", "platform", "sdk", "testing", "app"]),
};

/** What core libraries must not touch: they are computations, and anyone can test them without a machine around. */
const CORE_BANNED = [
  /^@grpc\//,
  /^@opentelemetry\//,
  /^onnxruntime-node$/,
  /^node:(fs|net|http|http2|child_process|worker_threads|os|dgram|tls)(\/|$)/,
];

/** One source file with its text. */
export interface SourceFile {
  /** Path relative to the root. */
  readonly path: string;
  readonly text: string;
}

/** Whether a file is a test, a bench or test support inside a package: those may import the testing library. */
function isTest(path: string): boolean {
  return /\.test(-d)?\.ts$|\/test\/|\/bench\//.test(path);
}

function packageNameOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}

/** Everything that breaks a boundary, one sentence each; empty when all is well. */
export function findViolations(
  packages: readonly WorkspacePackage[],
  files: readonly SourceFile[],
  rootDevDependencies: ReadonlySet<string>,
): string[] {
  const violations: string[] = [];
  const byName = new Map(packages.map((entry) => [entry.name, entry]));
  const edges = new Map<string, Set<string>>();

  for (const file of files) {
    const own = packages.find((entry) => file.path.startsWith(`${entry.folder}/`));
    if (own === undefined) continue;
    const test = isTest(file.path);
    for (const { fileName: specifier } of ts.preProcessFile(file.text, true, true).importedFiles) {
      if (specifier.startsWith(".")) {
        const target = relative(own.folder, join(dirname(file.path), specifier));
        if (target.startsWith(".."))
          violations.push(`${file.path}: "${specifier}" leaves the package; import it by its name`);
        continue;
      }
      if (own.layer === "core" && !test) {
        if (CORE_BANNED.some((banned) => banned.test(specifier))) {
          violations.push(`${file.path}: core must not import "${specifier}"; take it as a parameter`);
        }
        if (specifier.startsWith("@bufbuild/") && own.name !== "@servable/onnx") {
          violations.push(`${file.path}: of the core libraries only onnx may import "${specifier}"`);
        }
      }
      if (isBuiltin(specifier)) continue;

      const name = packageNameOf(specifier);
      const declared =
        own.dependencies.has(name) ||
        name === own.name ||
        (test && (own.devDependencies.has(name) || rootDevDependencies.has(name) || name === "@servable/testing"));
      if (!declared) violations.push(`${file.path}: "${name}" is not in ${own.folder}/package.json`);

      const target = byName.get(name);
      if (target === undefined || target === own) continue;
      const allowed = ALLOWED[own.layer].has(target.layer) || (test && target.layer === "testing");
      if (!allowed) violations.push(`${file.path}: layer ${own.layer} must not import ${name} (layer ${target.layer})`);
      if (!test) edges.set(own.name, (edges.get(own.name) ?? new Set()).add(name));
    }
  }

  for (const own of packages) {
    if (own.layer === "contract") continue;
    const text = files
      .filter((file) => file.path.startsWith(`${own.folder}/`))
      .map((file) => file.text)
      .join("\n");
    for (const name of own.dependencies) {
      // A dependency nobody imports still costs every install.
      if (!text.includes(`"${name}`) && !text.includes(`'${name}`)) {
        violations.push(`${own.folder}/package.json: nothing imports "${name}"; remove it`);
      }
    }
  }
  return [...violations, ...findCycles(edges)];
}

function findCycles(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    const at = path.indexOf(name);
    if (at >= 0) {
      cycles.push(`cycle: ${[...path.slice(at), name].join(" → ")}`);
      return;
    }
    if (done.has(name)) return;
    for (const next of edges.get(name) ?? []) visit(next, [...path, name]);
    done.add(name);
  };
  for (const name of edges.keys()) visit(name, []);
  return cycles;
}

/** The hand-written sources of all packages. */
export function readSources(root: string, paths: readonly string[]): SourceFile[] {
  return paths.map((path) => ({ path, text: readFileSync(resolve(root, path), "utf8") }));
}
