// How long a graph of about 2,000 nodes takes to be written, and to become a session, at each of onnxruntime's levels of graph
// have the mix that a forward and backward pass has, but no gradients: those need @servable/autodiff. What is left out: running it.
// npx node libs/onnx/bench/session-build.bench.ts

import { cpus } from "node:os";
import ort from "onnxruntime-node";
import { Graph, add, buildModel, gelu, importGraph, layerNormalization, matMul, mul, readModel, reshape, scalar, softmax, split, transpose, type Value } from "../src/index.ts";

const [NODES, BATCH, TOKENS, WIDTH, HEADS] = [2_000, 8, 64, 128, 4];
const ROUNDS = 5;

function decoder(nodesMin: number): { graph: Graph; output: Value } {
  const graph = new Graph();
  const parameters: Value[] = [];
  const weight = (...shape: number[]): Value => {
    const value = graph.input(`w${parameters.length}`, "FP32", shape);
    parameters.push(value);
    return value;
  };
  let x = graph.input("x", "FP32", [BATCH, TOKENS, WIDTH]);
  while (graph.nodes.length < nodesMin) {
    const normal = layerNormalization(graph, x, weight(WIDTH), weight(WIDTH));
    const parts = split(graph, add(graph, matMul(graph, normal, weight(WIDTH, 3 * WIDTH)), weight(3 * WIDTH)), [WIDTH, WIDTH, WIDTH], 2);
    const [q, k, v] = parts.map((part, index) => transpose(graph, reshape(graph, part, [BATCH, TOKENS, HEADS, WIDTH / HEADS]), index === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3])) as [Value, Value, Value];
    const scores = mul(graph, matMul(graph, q, k), scalar(graph, x, 1 / Math.sqrt(WIDTH / HEADS)));
    const mixed = reshape(graph, transpose(graph, matMul(graph, softmax(graph, scores), v), [0, 2, 1, 3]), [BATCH, TOKENS, WIDTH]);
    x = add(graph, x, add(graph, matMul(graph, mixed, weight(WIDTH, WIDTH)), weight(WIDTH)));
    x = add(graph, x, matMul(graph, gelu(graph, matMul(graph, layerNormalization(graph, x, weight(WIDTH), weight(WIDTH)), weight(WIDTH, 4 * WIDTH))), weight(4 * WIDTH, WIDTH)));
  }
  return { graph, output: x };
}

/** Least CPU milliseconds of some rounds: what other processes take of the machine does not count. */
async function least(work: () => unknown): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1_000);
  }
  return best;
}

const { graph, output } = decoder(NODES);
const bytes = buildModel({ graph, outputs: { y: output } });
console.log(`${cpus()[0]?.model ?? "?"}, node ${process.version}, onnxruntime-node ${ort.env.versions.node ?? "?"}; ${graph.nodes.length} nodes, ${(bytes.length / 1024).toFixed(0)} KB; least CPU time of ${ROUNDS}`);
console.log(`authored      ${(await least(() => decoder(NODES))).toFixed(1)} ms`);
console.log(`buildModel    ${(await least(() => buildModel({ graph, outputs: { y: output } }))).toFixed(1)} ms`);
console.log(`importGraph   ${(await least(() => importGraph(readModel(bytes)))).toFixed(1)} ms`);
for (const level of ["disabled", "basic", "extended", "all"] as const) {
  const ms = await least(async () => {
    const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: level, intraOpNumThreads: 1, logSeverityLevel: 3 });
    await session.release();
  });
  console.log(`session, ${level.padEnd(8)} ${ms.toFixed(0)} ms`);
}
