import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Graph, add, buildModel } from "@servable/onnx";
import { tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import { descendantsOf, residentBytes } from "../src/process-memory.ts";
import { TestPlatform } from "../src/test-platform.ts";

const MEBIBYTE = 1024 ** 2;
const CYCLES = 100;
/** Cycles before the base is taken: code is compiled, pools have their size. */
const WARM_UP_CYCLES = 25;
const WEIGHTS = MEBIBYTE / 4;
/** V8's heap and malloc's arenas breathe by about this much; 100 models that stayed would be above 100 MiB. */
const TOLERANCE_BYTES = 24 * MEBIBYTE;

describe("loading and unloading a model 100 times", { timeout: 300_000, skip: process.platform === "linux" ? false : "reads /proc" }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  before(async () => {
    const graph = new Graph();
    const bias = graph.constant("FP32", [WEIGHTS], Array.from({ length: WEIGHTS }, (_, index) => index % 7));
    const file = join(directory.path, "bias.onnx");
    writeFileSync(file, buildModel({ graph, outputs: { y: add(graph, graph.input("x", "FP32", ["n", 1]), bias) } }));
    platform = await TestPlatform.create({ trace: false });
    await platform.client.models.importFile({ model: "bias", file });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("gives all memory back, and leaves no engine process", async () => {
    const inference = platform.platform.pids()["inference-0"] ?? 0;
    const childrenBefore = descendantsOf(inference).length;
    const repository = async (verb: "load" | "unload"): Promise<void> => {
      const response = await platform.fetch(`/v2/repository/models/bias/${verb}`, { method: "POST" });
      assert.equal(response.status, 200, await response.text());
    };
    const cycle = async (): Promise<void> => {
      await repository("load");
      const { outputs } = await platform.client.inference.infer({ model: "bias", inputs: { x: tensorOf("FP32", [1, 1], [1]) } });
      assert.deepEqual(outputs["y"]?.shape, [1, WEIGHTS]);
      await repository("unload");
    };

    for (let warm = 0; warm < WARM_UP_CYCLES; warm++) await cycle();
    const baseBytes = residentBytes(inference);
    const seen: number[] = [];
    for (let round = 0; round < CYCLES; round++) {
      await cycle();
      seen.push(residentBytes(inference));
    }
    // Garbage of the last answers goes when V8 looks for it; growth would stay.
    for (let look = 0; look < 50 && residentBytes(inference) > baseBytes + TOLERANCE_BYTES; look++) await delay(200);

    const show = [baseBytes, ...seen.filter((_, index) => index % 10 === 9), residentBytes(inference)].map((bytes) => (bytes / MEBIBYTE).toFixed(0)).join(" ");
    assert.ok(residentBytes(inference) <= baseBytes + TOLERANCE_BYTES, `MiB resident, base, each tenth cycle, end: ${show}`);
    assert.equal(descendantsOf(inference).length, childrenBefore);
    console.log(`# MiB resident, base, each tenth cycle, end: ${show}`);
  });
});
