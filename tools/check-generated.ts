// Generated code is committed, so that a clone runs at once; this refuses a commit whose contracts and code differ.
import { execFileSync } from "node:child_process";
import { ROOT } from "./workspace.ts";

const FOLDERS = ["libs/contracts/gen", "libs/onnx/src/gen"];
const git = (...args: string[]): string => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" });

const before = git("stash", "create").trim() || "HEAD";
execFileSync("npm", ["run", "--silent", "generate"], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
const changed =
  git("diff", "--stat", before, "--", ...FOLDERS) + git("ls-files", "--others", "--exclude-standard", "--", ...FOLDERS);
if (changed.trim() !== "") {
  console.error(`generated code was stale and has been renewed; commit it:\n${changed}`);
  process.exitCode = 1;
} else {
  console.log("generated code is fresh");
}
