// Generated code is committed, so that a clone runs at once; this refuses contracts and code that differ.
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./workspace.ts";

/** Every generated file with its text. */
function generated(): Map<string, string> {
  const paths = globSync("{libs/contracts/gen,libs/onnx/src/gen,libs/runtime/gen}/**/*.{js,mjs,ts}", { cwd: ROOT });
  return new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), "utf8")]));
}

const before = generated();
execFileSync("npm", ["run", "--silent", "generate"], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
const after = generated();
const changed = [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path));
if (changed.length > 0) {
  console.error(`generated code was stale and has been renewed; commit it:\n  ${changed.join("\n  ")}`);
  process.exitCode = 1;
} else {
  console.log(`generated code is fresh (${after.size} files)`);
}
