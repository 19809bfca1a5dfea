import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import { Graph, buildModel } from "@servable/onnx";
import type { Engine } from "@servable/runtime";
import { tempDir } from "@servable/testing";
import { GradientEngines, type GradientGraphSpec } from "../src/domain/explain/gradient-engines.ts";

/** Counts what lives; the graph itself is built for real. */
function countingEngines(options: { idleMs?: number; enginesMax?: number } = {}): { engines: GradientEngines; started: () => number; alive: () => number } {
  let [started, alive] = [0, 0];
  const engines = new GradientEngines({
    intraOpThreads: 1,
    runMsMax: 1_000,
    ...options,
    startEngine: async (): Promise<Engine> => {
      started++;
      alive++;
      return {
        run: () => Promise.reject(new Error("not asked here")),
        isUp: true,
        pid: undefined,
        restartCount: 0,
        [Symbol.asyncDispose]: async () => {
          alive--;
        },
      };
    },
  });
  return { engines, started: () => started, alive: () => alive };
}

function versionOf(directory: string, opType: string): GradientGraphSpec {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["n", 2]);
  writeFileSync(join(directory, "model.onnx"), buildModel({ graph, outputs: { y: graph.node(opType, opType === "Mod" ? [x, x] : [x], { datatype: "FP32", shape: ["n", 2] }, opType === "Mod" ? { fmod: 1 } : {}) } }));
  return { folder: directory, model: "m", output: "y", inputs: [] };
}

describe("engines of gradients", { timeout: 60_000 }, () => {
  it("start with the first question, serve those that follow, and end when nobody asks", async () => {
    using directory = tempDir();
    const spec = versionOf(directory.path, "Tanh");
    const { engines, started, alive } = countingEngines({ idleMs: 20 });

    const entries = await engines.use(spec, async ({ graph }) => graph.entries.map(({ input }) => input.name));
    await engines.use(spec, async () => undefined);

    assert.deepEqual([entries, started(), alive()], [["x"], 1, 1]);
    while (alive() > 0) await delay(10);
    await engines.use(spec, async () => undefined);
    assert.equal(started(), 2);
    await engines[Symbol.asyncDispose]();
    assert.equal(alive(), 0);
  });

  it("make room when idle, and refuse when all are busy", async () => {
    using first = tempDir();
    using second = tempDir();
    const [a, b] = [versionOf(first.path, "Tanh"), versionOf(second.path, "Sigmoid")];
    const { engines, started, alive } = countingEngines({ enginesMax: 1 });
    const { promise: held, resolve: release } = Promise.withResolvers<void>();

    const busy = engines.use(a, () => held);
    await assert.rejects(engines.use(b, async () => undefined), (error) => error instanceof StatusError && error.reason === "QUEUE_FULL" && error.code === "UNAVAILABLE");
    release();
    await busy;
    await engines.use(b, async () => undefined);

    assert.deepEqual([started(), alive()], [2, 1]);
    await engines[Symbol.asyncDispose]();
  });

  it("are not tried again for a graph without gradients, whose reason stays known", async () => {
    using directory = tempDir();
    const spec = versionOf(directory.path, "Mod");
    const { engines, started } = countingEngines();
    const refused = (error: unknown): boolean => error instanceof StatusError && error.reason === "EXPLANATION_UNSUPPORTED" && error.message.includes("Mod has no gradient rule");

    await assert.rejects(engines.use(spec, async () => undefined), refused);
    writeFileSync(join(directory.path, "model.onnx"), "gone");
    await assert.rejects(engines.use(spec, async () => undefined), refused);

    assert.equal(started(), 0);
    await engines[Symbol.asyncDispose]();
  });
});
