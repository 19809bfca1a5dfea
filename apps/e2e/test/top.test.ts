import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "@servable/cli";
import { ApiKey_Role } from "@servable/contracts/iam/v1/iam";
import { StatusError } from "@servable/errors";
import { ServableClient } from "@servable/client";
import { addSubModel, tempDir } from "@servable/testing";
import { startSteadyLoad } from "../src/steady-load.ts";
import { TestPlatform } from "../src/test-platform.ts";

describe("servable top", { timeout: 120_000 }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  const run = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
    const written = { out: "", err: "" };
    const code = await runCli(["top", "--data-dir", platform.dataDir, ...args], { stdout: { write: (text) => (written.out += text) }, stderr: { write: (text) => (written.err += text) }, env: {} });
    return { code, ...written };
  };
  before(async () => {
    platform = await TestPlatform.create({ replicas: 2, trace: false });
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
    await platform.client.deployments.deploy({ model: "simple", replicas: 2 });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("shows what both replicas answer, with rates of the interval", async () => {
    const load = startSteadyLoad(platform, ["simple"]);
    await load.answered(20);

    const { code, out } = await run("--once", "--json");
    await load.stop();

    assert.equal(code, 0);
    const { replicas, models } = JSON.parse(out) as { replicas: { replica: string; memoryUsedBytes: number }[]; models: { model: string; replica: string; state: string; requestsPerSecond: number; p99Ms: number; pids: number[]; failures: number }[] };
    assert.deepEqual(replicas.map(({ replica }) => replica), ["local-0", "local-1"]);
    assert.ok(replicas.every(({ memoryUsedBytes }) => memoryUsedBytes > 0));
    assert.deepEqual(models.map(({ model, state, failures }) => [model, state, failures]), [["simple", "READY", 0], ["simple", "READY", 0]]);
    assert.ok(models.every(({ requestsPerSecond, p99Ms, pids }) => requestsPerSecond > 0 && p99Ms > 0 && pids.length === 1), out);
  });

  it("draws tables for people", async () => {
    const { code, out } = await run("--once", "--interval", "0.1");

    assert.equal(code, 0);
    assert.match(out, /^2 replicas · 2 model versions · /);
    assert.match(out, /^simple +1 +local-[01] +READY/m);
  });

  it("is for administrators", async () => {
    const { secret } = await platform.client.access.createKey({ displayName: "user", role: ApiKey_Role.USER });
    using client = new ServableClient({ address: platform.platform.grpcAddress, apiKey: secret });

    await assert.rejects(client.deployments.replicaStatuses(), (error) => error instanceof StatusError && error.code === "PERMISSION_DENIED");
  });
});
