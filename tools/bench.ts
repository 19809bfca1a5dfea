// `npm run bench [-- FILTER]`: runs every bench of the repository, one after the other, and says first on what.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { ROOT } from "./workspace.ts";

const filter = process.argv[2] ?? "";
const files = globSync("{apps,libs}/*/bench/*.bench.ts", { cwd: ROOT }).filter((path) => path.includes(filter)).sort();
if (files.length === 0) {
  console.error(`no bench matches "${filter}"`);
  process.exit(64);
}
const [cpu] = cpus();
console.log(`${new Date().toISOString().slice(0, 10)} · ${cpu?.model.trim()} × ${cpus().length} · ${Math.round(totalmem() / 1024 ** 3)} GiB · Node ${process.version} · load ${loadavg()[0]?.toFixed(1)}`);
console.log("Machines are noisy: trust the ratios, which are measured in one run.\n");
for (const file of files) {
  console.log(`── ${file}`);
  const { status } = spawnSync(process.execPath, [join(ROOT, file)], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
  console.log();
}
