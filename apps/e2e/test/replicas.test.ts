import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { elementsOf, tensorOf } from "@servable/tensor";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

describe("two inference replicas behind one gateway", { timeout: 60_000 }, () => {
  it("answer every call while one of them is killed", async () => {
    await using platform = await TestPlatform.create({ replicas: 2 });
    using directory = tempDir();
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
    await platform.client.deployments.deploy({ model: "simple", replicas: 2 });
    const input = tensorOf("INT32", [1, 16], Array<number>(16).fill(21));
    const sum = async (): Promise<unknown> => elementsOf((await platform.client.inference.infer({ model: "simple", inputs: { INPUT0: input, INPUT1: input } })).outputs["OUTPUT0"] as typeof input)[0];

    const pid = platform.platform.pids()["inference-1"] ?? 0;
    const answers: unknown[] = [];
    for (let call = 0; call < 200; call++) {
      if (call === 50) process.kill(pid, "SIGKILL");
      answers.push(await sum());
    }

    assert.deepEqual(new Set(answers), new Set([42]));
  });
});
