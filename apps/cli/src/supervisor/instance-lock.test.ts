import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { lockInstance, readPlatformInfo } from "./instance-lock.ts";

const PLATFORM = { pid: process.pid, grpcAddress: "127.0.0.1:1", httpAddress: "127.0.0.1:2", metricsAddress: "127.0.0.1:3" };

describe("instance lock", () => {
  it("refuses a second platform on the same data directory and names the first", () => {
    using dir = tempDir();
    using lock = lockInstance(dir.path);
    lock.announce(PLATFORM);

    assert.throws(() => lockInstance(dir.path), (error) => error instanceof StatusError && error.reason === "DATA_DIR_IN_USE" && error.message.includes(`process ${process.pid}`));
  });

  it("is free again after its end, and nothing is announced any more", () => {
    using dir = tempDir();
    const first = lockInstance(dir.path);
    first.announce(PLATFORM);
    assert.deepEqual(readPlatformInfo(dir.path), PLATFORM);

    first[Symbol.dispose]();

    assert.equal(readPlatformInfo(dir.path), undefined);
    lockInstance(dir.path)[Symbol.dispose]();
  });

  it("ends with the process that holds it, kill -9 included", async () => {
    using dir = tempDir();
    const module = new URL("./instance-lock.ts", import.meta.url).href;
    const script = `import { lockInstance } from ${JSON.stringify(module)}; const lock = lockInstance(${JSON.stringify(dir.path)}); lock.announce({ pid: process.pid }); console.log("held"); setInterval(() => lock, 1000);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    assert.throws(() => lockInstance(dir.path));

    holder.kill("SIGKILL");
    await once(holder, "exit");

    lockInstance(dir.path)[Symbol.dispose]();
    assert.equal(readPlatformInfo(dir.path), undefined);
  });
});
