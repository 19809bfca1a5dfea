// Contracts only grow. They are compared with the last release tag; before the first release, with the commit before the
// newest one, which at least catches a break on its way in.
import { spawnSync } from "node:child_process";
import { ROOT } from "./workspace.ts";

const git = (...args: string[]): string => {
  const run = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : "";
};

const release = git("describe", "--tags", "--abbrev=0", "--match", "v*");
const baseline = release || git("rev-parse", "--verify", "HEAD~1");
const hasContracts = baseline !== "" && git("ls-tree", "-d", baseline, "proto") !== "";
if (!hasContracts) {
  console.log("SKIPPED buf breaking: no release tag and no earlier commit with contracts in this clone");
} else {
  const against = `.git#ref=${baseline},subdir=proto`;
  const run = spawnSync("npx", ["buf", "breaking", "proto", "--against", against], { cwd: ROOT, stdio: "inherit" });
  if (run.status === 0) console.log(`contracts are compatible with ${release || baseline.slice(0, 12)}`);
  process.exitCode = run.status ?? 1;
}
