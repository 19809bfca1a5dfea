import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { elementsOf, tensorOf } from "@servable/tensor";
import { addSubModel, tempDir } from "@servable/testing";
import { startSteadyLoad } from "../src/steady-load.ts";
import { TestPlatform } from "../src/test-platform.ts";

describe("inference replicas behind one gateway", { timeout: 180_000 }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  before(async () => {
    platform = await TestPlatform.create({ replicas: 3, trace: false });
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
  const input = tensorOf("INT32", [1, 16], Array<number>(16).fill(21));
  const sum = async (): Promise<unknown> => elementsOf((await platform.client.inference.infer({ model: "simple", inputs: { INPUT0: input, INPUT1: input } })).outputs["OUTPUT0"] as typeof input)[0];

  it("answer every call while one of them is killed", async () => {
    await platform.client.deployments.deploy({ model: "simple", replicas: 3 });
    const pid = platform.platform.pids()["inference-1"] ?? 0;
    const answers: unknown[] = [];
    for (let call = 0; call < 200; call++) {
      if (call === 50) process.kill(pid, "SIGKILL");
      answers.push(await sum());
    }

    assert.deepEqual(new Set(answers), new Set([42]));
    await platform.client.deployments.undeploy("simple");
  });

  it("lose no call while each of them is restarted in order, of models that are on one replica only too", async () => {
    const models = ["one", "two", "three", "four", "five"];
    for (const as of models) await platform.client.deployments.deploy({ model: "simple", as });
    const load = startSteadyLoad(platform, models);
    await load.answered(50);

    for (const replica of ["inference-0", "inference-1", "inference-2"]) {
      const pid = platform.platform.pids()[replica] ?? 0;
      process.kill(pid, "SIGTERM");
      while ([undefined, pid].includes(platform.platform.pids()[replica])) await load.answered(1);
      while ((await platform.client.deployments.replicas()).length < 3) await load.answered(1);
      await load.answered(50);
    }
    await load.stop();

    assert.deepEqual(load.failures, []);
  });
});
