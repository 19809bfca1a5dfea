import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { tempDir } from "@servable/testing";

const LAUNCHER = fileURLToPath(new URL("../bin/servable.mjs", import.meta.url));
const older = olderNode();

/** A Node below 26 on this machine, to be what a newcomer has. */
function olderNode(): string | undefined {
  const paths = (process.env["PATH"] ?? "").split(":").map((folder) => join(folder, "node"));
  return paths.find((path) => {
    const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return status === 0 && Number(/^v(\d+)/.exec(stdout)?.[1]) < 26;
  });
}

/** A launcher in an installation of its own, whose command is `script`. */
function installation(root: string, script: string): string {
  mkdirSync(join(root, "apps", "cli", "bin"), { recursive: true });
  mkdirSync(join(root, "apps", "cli", "src"));
  mkdirSync(join(root, "node_modules", ".bin"), { recursive: true });
  symlinkSync(process.execPath, join(root, "node_modules", ".bin", "node"));
  cpSync(LAUNCHER, join(root, "apps", "cli", "bin", "servable.mjs"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(root, "apps", "cli", "src", "cli.ts"), script);
  return join(root, "apps", "cli", "bin", "servable.mjs");
}

describe("launcher", () => {
  it("shows the help under this Node", () => {
    assert.match(execFileSync(process.execPath, [LAUNCHER, "--help"], { encoding: "utf8" }), /Usage: servable/);
  });

  it("ends quietly when its reader has seen enough", async () => {
    const child = spawn(process.execPath, [LAUNCHER, "train", "--help"], { stdio: ["ignore", "pipe", "pipe"] });
    let complaints = "";
    child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    // Closed before anything is written, so that every write meets a broken pipe.
    child.stdout.destroy();

    const [code] = (await once(child, "close")) as [number | null];

    assert.deepEqual([code, complaints], [0, ""]);
  });

  it("finds the installed Node when the machine's own is older", { skip: older === undefined ? "this machine has no Node below 26" : false }, () => {
    assert.match(execFileSync(older ?? "", [LAUNCHER, "--help"], { encoding: "utf8" }), /Usage: servable/);
  });

  it("passes arguments and exit code on", () => {
    using dir = tempDir();
    const launcher = installation(dir.path, `const words: string[] = process.argv.slice(2); console.log(words.join("|")); process.exitCode = 78;`);

    const { status, stdout } = spawnSync(older ?? process.execPath, [launcher, "a b", "--c"], { encoding: "utf8" });

    assert.equal(status, 78);
    assert.equal(stdout, "a b|--c\n");
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`passes ${signal} on and waits for the orderly end`, async () => {
      using dir = tempDir();
      const launcher = installation(dir.path, `const alive = setInterval(() => {}, 1000); process.once("${signal}", () => { console.log("drained"); clearInterval(alive); }); console.log("up");`);
      const child = spawn(older ?? process.execPath, [launcher], { stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
        if (out === "up\n") child.kill(signal);
      });

      const [code] = (await once(child, "close")) as [number];

      assert.equal(code, 0);
      assert.equal(out, "up\ndrained\n");
    });
  }
});
