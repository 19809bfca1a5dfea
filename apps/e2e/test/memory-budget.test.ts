import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ReplicaService } from "@servable/contracts/inference/v1/replica";
import { StatusError } from "@servable/errors";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { addSubModel, tempDir } from "@servable/testing";
import { descendantsOf } from "../src/process-memory.ts";
import { startSteadyLoad } from "../src/steady-load.ts";
import { TestPlatform } from "../src/test-platform.ts";

/** Room for three: before its first load a small model is reckoned with 32 MiB, measured it takes less. */
const BUDGET_BYTES = 3 * 33 * 1024 ** 2;
const MODELS = Array.from({ length: 8 }, (_, index) => `m${index}`);

describe("more models than memory", { timeout: 180_000, skip: process.platform === "linux" ? false : "counts processes in /proc" }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  let channel: Channel;
  const status = async () => {
    const { replicas } = await createClient(ReplicaService, channel).listReplicaStatuses({}, { metadata: { authorization: `Bearer ${platform.apiKey}` } });
    const [replica] = replicas;
    assert.ok(replica !== undefined);
    return replica;
  };
  before(async () => {
    platform = await TestPlatform.create({ trace: false, env: { SERVABLE_MEMORY_BUDGET: String(BUDGET_BYTES) } });
    channel = createChannel(platform.platform.grpcAddress);
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file, servingConfigJson: '{"parameters":{"servable.load":{"string_value":"on-demand"}}}' });
    for (const as of MODELS) await platform.client.deployments.deploy({ model: "simple", as });
  });
  after(async () => {
    channel.close();
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("takes calls to all of them, each loaded by its first call, and never fills more than there is", async () => {
    assert.deepEqual(new Set((await status()).models.map(({ state }) => state)), new Set(["IDLE"]));
    const load = startSteadyLoad(platform, MODELS);
    const enginesMost = { count: 0 };
    for (let look = 0; look < 40; look++) {
      await load.answered(2);
      const { memoryUsedBytes, models } = await status();
      assert.ok(memoryUsedBytes <= BigInt(BUDGET_BYTES), `${memoryUsedBytes} bytes in use`);
      enginesMost.count = Math.max(enginesMost.count, models.flatMap(({ enginePids }) => enginePids).length);
    }
    await load.stop();

    assert.deepEqual(load.failures, []);
    const { loadCount, evictionCount, models } = await status();
    assert.ok(enginesMost.count >= 2 && evictionCount > 0n && loadCount >= 8n, JSON.stringify({ enginesMost, loads: String(loadCount), evictions: String(evictionCount) }));
    assert.deepEqual(new Set(models.map(({ successCount }) => successCount > 0n)), new Set([true]));
    // Whoever left memory left no process behind.
    const inference = platform.platform.pids()["inference-0"] ?? 0;
    const alive = descendantsOf(inference);
    assert.ok(models.flatMap(({ enginePids }) => enginePids).every((pid) => alive.includes(pid)));
  });

  it("says how much a model that will never fit needs, and how much there is", async () => {
    const config = { parameters: { "servable.load": { string_value: "eager" } }, instance_group: [{ count: 4 }] };
    const file = join(directory.path, "simple.onnx");
    await platform.client.models.importFile({ model: "large", file, servingConfigJson: JSON.stringify(config) });

    await assert.rejects(platform.client.deployments.deploy({ model: "large" }), (error) => error instanceof StatusError && /'large' needs about \d+ bytes of memory, 103809024 of 103809024 are there/.test(error.message));
  });
});
