// Models whose mathematics takes milliseconds: what of raw onnxruntime's rate arrives, and what a lone caller waits longer.
// Raw = onnxruntime-node in a loop, one thread, in a process of its own, at the best of several batch sizes, in the same run.
// Leaves out: several engines, more threads, TLS, networks.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedAsset, tempDir } from "@servable/testing";
import { floats, framed, inferRequest } from "./load/bench-models.ts";
import { bertModel, tokenIds } from "./load/bert-model.ts";
import { INFER_PATH, startBenchPlatform } from "./load/bench-platform.ts";
import { measureServer, rowOf } from "./load/measure-server.ts";

const SECONDS = Number(process.env["SERVABLE_BENCH_SECONDS"] ?? 4);
const BATCHES = [1, 2, 4, 8, 16];
const CONCURRENCY = 32;
const PICTURE = 3 * 224 * 224;

interface Subject {
  readonly model: string;
  readonly bytes: Uint8Array;
  readonly raw: Readonly<Record<string, { readonly type: string; readonly dims: readonly number[] }>>;
  readonly request: Uint8Array;
}

const subjects: Subject[] = [
  { model: "bert", bytes: bertModel(), raw: { input_ids: { type: "int64", dims: [32] } }, request: inferRequest("bert", { input_ids: { datatype: "INT64", shape: [1, 32], data: tokenIds() } }) },
];
const mobilenet = sharedAsset("assets/imagenet-mobilenetv2/mobilenet_v2_1.0_224_fp32.onnx");
if (mobilenet === undefined) console.log("  (MobileNetV2 is left out: the shared assets are not on this machine)");
else subjects.push({ model: "mobilenet", bytes: readFileSync(mobilenet), raw: { input: { type: "float32", dims: [3, 224, 224] } }, request: inferRequest("mobilenet", { input: { datatype: "FP32", shape: [1, 3, 224, 224], data: floats(PICTURE) } }) });

interface Raw {
  readonly perSecond: number;
  /** CPU microseconds an example. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

for (const { model, bytes, raw, request } of subjects) {
  using directory = tempDir();
  const file = join(directory.path, `${model}.onnx`);
  writeFileSync(file, bytes);
  const measureRaw = (batches: readonly number[]): Record<string, Raw> =>
    JSON.parse(execFileSync(process.execPath, [join(import.meta.dirname, "load/raw-onnxruntime.ts"), file, JSON.stringify(raw), String(SECONDS / 2), ...batches.map(String)], { encoding: "utf8" })) as Record<string, Raw>;
  await using bench = await startBenchPlatform({ [model]: { bytes } });
  const answerBytes = (await bench.answerTo("gateway", request)).length + 5;
  const body = framed(request);

  const results = measureRaw(BATCHES);
  for (const [batch, { perSecond, cpuUs, p50Ms, p99Ms }] of Object.entries(results)) console.log(`  ${model} raw, batch ${batch.padStart(2)}: ${perSecond.toFixed(1)}/s, p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms a run · CPU µs an example ${cpuUs.toFixed(0)}`);
  const best = Math.max(...Object.values(results).map(({ perSecond }) => perSecond));
  const cheapest = Math.min(...Object.values(results).map(({ cpuUs }) => cpuUs));
  for (const door of ["inference", "gateway"] as const) {
    const load = { ...bench.doors[door], path: INFER_PATH, body, answerBytes, seconds: SECONDS };
    const full = await measureServer({ ...load, concurrency: CONCURRENCY }, bench.processes, 1);
    console.log(`${rowOf(`${model} ${door} c=${CONCURRENCY}`, full)} · ${((full.perSecond / best) * 100).toFixed(1)} % of raw's best rate, engine CPU ${((full.cpuUs["engine"] ?? Number.NaN) / cheapest).toFixed(2)} × of raw's cheapest`);
    // Raw and served in turn: what others do on this machine meanwhile hits both.
    const lone = await measureServer({ ...load, concurrency: 1 }, bench.processes, 1);
    const alone = measureRaw([1])["1"];
    console.log(`${rowOf(`${model} ${door} c=1`, lone)} · ${((lone.p50Ms - (alone?.p50Ms ?? Number.NaN)) * 1_000).toFixed(0)} µs over raw's p50 ${alone?.p50Ms.toFixed(2)} ms`);
  }
}
