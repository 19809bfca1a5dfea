// Whole trainings on real data, here and in PyTorch on the CPU: the same first weights, the same batches in the same order,
// one thread each, default Adam. Printed: the accuracy (or loss) on rows that neither saw, and how long the steps took.
//
// Takes many minutes, so it runs only when told: SERVABLE_BENCH_ACCURACY=all or a part of a case's name. PyTorch runs by
// PYTHON (default python3). Leaves out: augmentation, schedules, several seeds.

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Scope, randomStream } from "@servable/nn";
import { adam } from "@servable/optim";
import { typedArrayOf } from "@servable/tensor";
import { createTrainer, type Feeds, type Trainer } from "@servable/trainer";
import { encodeSafetensors } from "@servable/weights";
import { batchOf, type AccuracyCase, type RowArray } from "./accuracy-case.ts";
import { CASES } from "./cases.ts";

const wanted = process.env["SERVABLE_BENCH_ACCURACY"] ?? "";
if (wanted === "") {
  console.log("set SERVABLE_BENCH_ACCURACY=all, or to a part of a case's name");
  process.exit(0);
}

console.log("case                       metric      here   PyTorch   difference   seconds here / PyTorch   steps");
for (const [name, read] of Object.entries(CASES)) {
  if (wanted !== "all" && !name.toLowerCase().includes(wanted.toLowerCase())) continue;
  const task = await read();
  const folder = join(tmpdir(), `servable-accuracy-${process.pid}`);
  mkdirSync(folder);
  const own = await trainHere(task, folder);
  const peer = trainThere(folder);
  rmSync(folder, { recursive: true });
  const shown = (value: number): string => (task.metric === "accuracy" ? `${(value * 100).toFixed(2)} %` : value.toFixed(4)).padStart(9);
  console.log(`${name.padEnd(26)} ${task.metric.padEnd(8)} ${shown(own.metric)} ${shown(peer.metric)} ${shown(own.metric - peer.metric).padStart(12)} ${own.seconds.toFixed(1).padStart(12)} / ${peer.seconds.toFixed(1)} ${String(task.steps).padStart(12)}`);
}

interface Outcome {
  readonly metric: number;
  readonly seconds: number;
}

/** Trains, and leaves everything in the folder that the other side needs for the same. */
async function trainHere(task: AccuracyCase, folder: string): Promise<Outcome> {
  const { network, training, test, batchSize, steps, learningRate, decays = false, initial = new Map<string, Float32Array>() } = task;
  const scope = new Scope({ mode: "eval", seed: 1 });
  network(scope);
  const state = new Map([...scope.parameters, ...scope.buffers].map(({ name, shape, initial: first }) => [name, { shape, values: initial.get(name) ?? first() }] as const));
  const order = batches(rowCount(training), batchSize, steps);
  writeFileSync(join(folder, "initial.safetensors"), encodeSafetensors({ tensors: new Map([...state].map(([name, { shape, values }]) => [name, { datatype: "FP32", shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }])), metadata: {} }));
  writeFileSync(join(folder, "order.bin"), order);
  const arrays = (part: string, rows: Readonly<Record<string, RowArray>>) =>
    Object.fromEntries(Object.entries(rows).map(([name, { data, shape }]) => {
      writeFileSync(join(folder, `${part}.${name}.bin`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return [name, { type: data.constructor.name, shape }];
    }));
  const { model, metric, scale } = task;
  writeFileSync(join(folder, "case.json"), JSON.stringify({ model, metric, scale, batchSize, steps, learningRate, decays, portion: task.portion, training: arrays("training", training), test: arrays("test", test) }));
  await using trainer = await createTrainer({ network, optimizer: adam({ learningRate }), ...(decays ? { schedule: (step: number) => 1 - step / steps } : {}), initial: new Map([...state].map(([name, { values }]) => [name, values] as const)) });
  const began = performance.now();
  for (let step = 0; step < steps; step++) await trainer.step(feedsOf(task, training, order.subarray(step * batchSize, (step + 1) * batchSize)));
  return { seconds: (performance.now() - began) / 1_000, metric: await judge(task, trainer) };
}

/** Rows of every batch, epoch after epoch; what is left of an epoch is dropped. */
function batches(rows: number, batchSize: number, steps: number): Uint32Array {
  const order = new Uint32Array(steps * batchSize);
  const perEpoch = Math.floor(rows / batchSize);
  for (let epoch = 0; epoch * perEpoch < steps; epoch++) {
    const permuted = randomStream(1, `epoch ${epoch}`).permutation(rows);
    order.set(permuted.subarray(0, Math.min(perEpoch, steps - epoch * perEpoch) * batchSize), epoch * perEpoch * batchSize);
  }
  return order;
}

function rowCount(arrays: Readonly<Record<string, RowArray>>): number {
  const [{ data, shape } = { data: new Float32Array(), shape: [] }] = Object.values(arrays);
  return data.length / shape.reduce((product, size) => product * size, 1);
}

function feedsOf({ scale }: AccuracyCase, arrays: Readonly<Record<string, RowArray>>, rows: Uint32Array): Feeds {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => {
    const feed = batchOf(array, rows);
    if (scale?.input !== name) return [name, feed];
    const area = array.shape.slice(1).reduce((product, size) => product * size, 1);
    const channels = scale.mean.length;
    const channelOf = (at: number): number => Math.floor(at / area) % channels;
    return [name, { ...feed, data: Float32Array.from(feed.data as Uint8Array, (pixel, at) => (pixel - (scale.mean[channelOf(at)] ?? 0)) / (scale.deviation[channelOf(at)] ?? 1)) }];
  }));
}

async function judge(task: AccuracyCase, trainer: Trainer): Promise<number> {
  const rows = rowCount(task.test);
  let [lossSum, right] = [0, 0];
  for (let start = 0; start < rows; start += task.portion) {
    const some = Uint32Array.from({ length: Math.min(task.portion, rows - start) }, (_, index) => start + index);
    const feeds = feedsOf(task, task.test, some);
    const { loss, outputs } = await trainer.evaluate(feeds);
    lossSum += loss * some.length;
    if (task.metric === "loss" || outputs["logits"] === undefined) continue;
    const logits = typedArrayOf(outputs["logits"]) as Float32Array;
    const truth = (feeds["labels"] ?? feeds["targets"])?.data as BigInt64Array | Float32Array;
    const size = logits.length / some.length;
    some.forEach((_, row) => {
      const values = logits.subarray(row * size, (row + 1) * size);
      const guess = size === 1 ? ((values[0] ?? 0) > 0 ? 1 : 0) : values.indexOf(values.reduce((most, value) => Math.max(most, value)));
      if (guess === Number(truth[row])) right++;
    });
  }
  return task.metric === "loss" ? lossSum / rows : right / rows;
}

function trainThere(folder: string): Outcome {
  const { stdout, stderr, status } = spawnSync(process.env["PYTHON"] ?? "python3", [fileURLToPath(new URL("torch_accuracy.py", import.meta.url)), folder], { encoding: "utf8" });
  if (status === 0) return JSON.parse(stdout) as Outcome;
  console.error(stderr.split("\n").slice(-4).join("\n"));
  return { metric: NaN, seconds: NaN };
}
