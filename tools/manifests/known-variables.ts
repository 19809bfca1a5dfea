import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../workspace.ts";

/** Every environment variable that a source names, tests aside. */
export function knownVariables(root: string = ROOT): Set<string> {
  const sources = globSync("{apps,libs}/*/src/**/*.ts", { cwd: root }).filter(
    (path) => !path.endsWith(".test.ts") && !path.endsWith(".d.ts"),
  );
  return new Set(
    sources.flatMap((path) => readFileSync(join(root, path), "utf8").match(/\b(SERVABLE|OTEL)_[A-Z_]+\b/g) ?? []),
  );
}
