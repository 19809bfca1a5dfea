import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { elementsOf, tensorOf } from "@servable/tensor";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

const CSV = `x,color,target\n${Array.from({ length: 400 }, (_, index) => `${(index % 2) * 4 + Math.sin(index)},${index % 2 === 1 ? "red" : "blue"},${index % 2 === 1 ? "yes" : "no"}`).join("\n")}\n`;

/** Waits for what must come; the test's own time-out is the bound. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("a platform whose processes are killed", { timeout: 120_000 }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  const sum = async (): Promise<unknown> => {
    const input = tensorOf("INT32", [1, 16], Array<number>(16).fill(21));
    const { outputs } = await platform.client.inference.infer({ model: "simple", inputs: { INPUT0: input, INPUT1: input }, timeoutMs: 5_000 });
    return elementsOf(outputs["OUTPUT0"] as ReturnType<typeof tensorOf>)[0];
  };
  const kill = async (service: string): Promise<void> => {
    const pid = platform.platform.pids()[service] ?? 0;
    assert.ok(pid > 0, `${service} does not run`);
    process.kill(pid, "SIGKILL");
    await until(() => {
      const now = platform.platform.pids()[service];
      return now !== undefined && now !== pid;
    });
  };
  before(async () => {
    platform = await TestPlatform.create();
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
    await platform.client.deployments.deploy({ model: "simple" });
    assert.equal(await sum(), 42);
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("goes on serving while the registry is dead, and loses no model of it", async () => {
    const killed = kill("model-registry");
    assert.equal(await sum(), 42);
    await killed;

    await until(() => platform.client.models.list().then((models) => models.length === 1, () => false));
    assert.equal(await sum(), 42);
  });

  it("serves again when its inference process was killed", async () => {
    await kill("inference-0");

    await until(() => sum().then((value) => value === 42, () => false));
  });

  it("takes calls again when its gateway was killed, with the same keys", async () => {
    await kill("gateway");

    await until(() => sum().then((value) => value === 42, () => false));
  });

  it("ends a job whose service was killed under way, and keeps serving meanwhile", async () => {
    const file = join(directory.path, "data.csv");
    writeFileSync(file, CSV);
    await platform.client.datasets.upload({ dataset: "points", format: Dataset_Format.CSV, files: { data: file } });
    const job = await platform.client.training.create({ model: "points", dataset: "points", spec: { targetColumn: "target", epochCount: 2_000 } });
    const jobId = job.name.split("/").at(-1) ?? "";
    await until(async () => (await platform.client.training.get(jobId)).progress !== undefined);

    const killed = kill("training");
    assert.equal(await sum(), 42);
    await killed;

    await until(() => platform.client.training.get(jobId).then(({ modelVersion }) => modelVersion !== "", () => false));
    assert.equal((await platform.client.models.versions("points")).length, 1);
  });

  it("serves every deployment again after a restart of all", async () => {
    await platform.restart();

    await until(() => sum().then((value) => value === 42, () => false));
    assert.deepEqual((await platform.client.models.list()).map(({ name }) => name).sort(), ["projects/default/models/points", "projects/default/models/simple"]);
  });
});
