#!/usr/bin/env node
// The command's first lines run under whatever Node the machine has; the platform needs Node 26, which the installation
// brings along. So this file is plain JavaScript: it finds that Node, hands over, and passes signals and exit code on.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 26;
const here = dirname(fileURLToPath(import.meta.url));
const cli = join(here, "..", "src", "cli.ts");

const node = Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN ? process.execPath : findNode(here);
if (node === undefined) {
  process.stderr.write(`servable: needs Node ${NODE_MAJOR_MIN} or later, this is ${process.version}: run \`npm ci\` in the repository, which brings it along\n`);
  process.exit(78);
}

// Compiled code is kept from run to run: it halves the start of every process.
const env = { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(dirname(dirname(dirname(here))), "node_modules", ".cache", "compile") };
const child = spawn(node, [cli, ...process.argv.slice(2)], { stdio: "inherit", env });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  process.stderr.write(`servable: ${node} does not start: ${error.message}\n`);
  process.exitCode = 70;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
});

/** The Node of the nearest installation above, as npm's platform packages bring it. */
function findNode(from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const modules = join(folder, "node_modules");
    const candidates = [join(modules, ".bin", "node"), ...platformPackages(modules).map((name) => join(modules, name, "bin", "node"))];
    const found = candidates.find((path) => existsSync(path));
    if (found !== undefined) return found;
    if (dirname(folder) === folder) return undefined;
  }
}

function platformPackages(modules) {
  try {
    return readdirSync(modules).filter((name) => name === `node-${process.platform}-${process.arch}` || name === `node-bin-${process.platform}-${process.arch}`);
  } catch {
    return [];
  }
}
