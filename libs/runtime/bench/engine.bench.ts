// What isolation costs: the same model in this process, in a worker thread over shared memory, and in an engine process.
// Leaves out: the network hop before it, batching, more than one instance, GPUs.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Graph, add, buildModel } from "@servable/onnx";
import { startEngineProcess, type NamedTensor } from "@servable/runtime";
import { tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import ort from "onnxruntime-node";

const RUNS = 2_000;
const ROUNDS = 5;

/** y = x + x over [batch, width]: as little computing as there can be, so that what remains is the way there and back. */
function doubling(width: number): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", width]);
  return buildModel({ graph, outputs: { y: add(graph, x, x) } });
}

/** Median microseconds of one call, over rounds of many. */
async function median(call: () => Promise<unknown>, runs: number): Promise<number> {
  for (let run = 0; run < runs / 5; run++) await call();
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    for (let run = 0; run < runs; run++) await call();
    rounds.push(((performance.now() - started) * 1_000) / runs);
  }
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
}

/** A worker that runs what lies in shared memory when told by Atomics, and answers there. */
function startWorker(path: string, bytes: number): { run: () => Promise<void>; stop: () => Promise<void> } {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const input = new SharedArrayBuffer(bytes);
  const output = new SharedArrayBuffer(bytes);
  const source = `
    const { workerData: { path, control, input, output, width } } = require("node:worker_threads");
    const ort = require(${JSON.stringify(import.meta.resolve("onnxruntime-node").replace("file://", ""))});
    (async () => {
      const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
      const feeds = { x: new ort.Tensor("float32", new Float32Array(input), [1, width]) };
      const fetches = { y: new ort.Tensor("float32", new Float32Array(output), [1, width]) };
      for (let seen = 0; ; ) {
        Atomics.wait(control, 0, seen);
        seen = Atomics.load(control, 0);
        if (seen === -1) return;
        await session.run(feeds, fetches);
        Atomics.store(control, 1, seen);
        Atomics.notify(control, 1);
      }
    })();`;
  const worker = new Worker(source, { eval: true, workerData: { path, control, input, output, width: bytes / 4 } });
  let asked = 0;
  return {
    async run() {
      asked++;
      Atomics.store(control, 0, asked);
      Atomics.notify(control, 0);
      for (let done = Atomics.load(control, 1); done !== asked; done = Atomics.load(control, 1)) {
        const { async, value } = Atomics.waitAsync(control, 1, done);
        if (async) await value;
      }
    },
    async stop() {
      Atomics.store(control, 0, -1);
      Atomics.notify(control, 0);
      await new Promise((resolve) => worker.once("exit", resolve));
    },
  };
}

using directory = tempDir();
for (const [label, width, runs] of [["3 KB", 768, RUNS], ["600 KB", 150_000, RUNS / 10]] as const) {
  const path = join(directory.path, `${width}.onnx`);
  writeFileSync(path, doubling(width));
  const tensor: NamedTensor = { name: "x", ...tensorOf("FP32", [1, width], Array<number>(width).fill(1)) };

  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
  const feeds = { x: new ort.Tensor("float32", new Float32Array(width), [1, width]) };
  const inProcess = await median(() => session.run(feeds), runs);
  await session.release();

  const worker = startWorker(path, width * 4);
  const inWorker = await median(() => worker.run(), runs);
  await worker.stop();

  await using engine = await startEngineProcess({ path, model: "doubling" });
  const inChild = await median(() => engine.run([tensor], []), runs);
  const pipelined = (await median(() => Promise.all(Array.from({ length: 32 }, () => engine.run([tensor], []))), Math.ceil(runs / 32))) / 32;
  const batch = Array.from({ length: 32 }, () => tensor.data);
  const batched = (await median(() => engine.run([{ name: "x", datatype: "FP32", shape: [32, width], data: batch }], []), Math.ceil(runs / 32))) / 32;

  const row = (name: string, us: number): void => console.log(`${label}: ${name.padEnd(46)} ${us.toFixed(1).padStart(8)} µs a request, ${(us / inProcess).toFixed(2)} of in process`);
  row("in process (blocks the event loop)", inProcess);
  row("worker thread, shared memory, one at a time", inWorker);
  row("engine process, one at a time", inChild);
  row("engine process, 32 under way", pipelined);
  row("engine process, batches of 32", batched);
  const memory = /Private_Dirty:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/smaps_rollup`, "utf8"))?.[1];
  console.log(`${label}: engine process: ${(Number(memory) / 1024).toFixed(1)} MB private`);
}
