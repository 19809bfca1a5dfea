// Private memory of 1, 2 and 3 engine processes of one model: the file as it was uploaded against the folder that the artifact
// cache makes of it, with and without prepacking. Linux only (smaps_rollup).
// Run: npx node apps/inference/bench/weights-memory.bench.ts [model.onnx]

import { fork } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Graph, add, buildModel, matMul, relu } from "@servable/onnx";
import { startEngineProcess, type Engine } from "@servable/runtime";
import { tempDir } from "@servable/testing";

const LAYERS = 24;
const WIDTH = 1024; // 24 weights of 4 MiB
const ENGINES = 3;
const WORKER = fileURLToPath(new URL("../src/worker/share-weights.ts", import.meta.url));

using directory = tempDir();
const given = process.argv[2];
const uploaded = given ?? join(directory.path, "uploaded.onnx");
if (given === undefined) writeFileSync(uploaded, feedForward());
const shared = join(directory.path, "version");
mkdirSync(shared);
copyFileSync(uploaded, join(shared, "model.onnx"));
await new Promise((resolve) => fork(WORKER, [shared, join(directory.path, "tensors")]).once("exit", resolve));

console.log(`${cpus()[0]?.model ?? ""}, ${cpus().length} CPUs, Node ${process.version}, model of ${(statSync(uploaded).size / 1e6).toFixed(1)} MB`);
console.log("| how | private MB of engine 1 / 2 / 3 | start of the later ones, ms |\n|---|---|---|");
for (const [how, path] of [["as uploaded", uploaded], ["weights shared", join(shared, "model.onnx")]] as const) {
  for (const prepacking of [true, false]) {
    const engines: { engine: Engine; startMs: number }[] = [];
    for (let index = 0; index < ENGINES; index += 1) {
      const started = performance.now();
      const engine = await startEngineProcess({ path, model: "m", prepacking });
      engines.push({ engine, startMs: performance.now() - started });
    }
    const memory = engines.map(({ engine }) => privateMegabytes(engine.pid ?? 0).toFixed(0));
    console.log(`| ${how}, prepacking ${prepacking ? "on" : "off"} | ${memory.join(" / ")} | ${engines.slice(1).map(({ startMs }) => startMs.toFixed(0)).join(", ")} |`);
    await Promise.all(engines.map(({ engine }) => engine[Symbol.asyncDispose]()));
  }
}

function privateMegabytes(pid: number): number {
  const kilobytes = /Private_Dirty:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kilobytes ?? NaN) / 1024;
}

function feedForward(): Uint8Array {
  const graph = new Graph();
  let x = graph.input("x", "FP32", ["batch", WIDTH]);
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const weight = graph.constant("FP32", [WIDTH, WIDTH], Array.from({ length: WIDTH * WIDTH }, (_, index) => Math.sin(index * 1.7 + layer) / 32));
    x = relu(graph, add(graph, matMul(graph, x, weight), graph.constant("FP32", [WIDTH], Array.from({ length: WIDTH }, () => 0.01))));
  }
  return buildModel({ graph, outputs: { y: x } });
}
