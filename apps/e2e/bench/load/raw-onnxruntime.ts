// What the hardware gives: onnxruntime-node in a loop, without a server, in a process of its own.
// usage: raw-onnxruntime.ts MODEL.onnx '{"name":{"type":"float32","dims":[3,224,224]}}' SECONDS BATCHES…

import { InferenceSession, Tensor, type OnnxValue } from "onnxruntime-node";

const [modelFile = "", inputs = "{}", seconds = "2", ...batches] = process.argv.slice(2);
const specs = JSON.parse(inputs) as Record<string, { readonly type: "float32" | "int64"; readonly dims: readonly number[] }>;
const session = await InferenceSession.create(modelFile, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const results: Record<string, { perSecond: number; cpuUs: number; p50Ms: number; p99Ms: number }> = {};
for (const batch of batches.map(Number)) {
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, { type, dims }] of Object.entries(specs)) {
    const shape = [batch, ...dims];
    const count = shape.reduce((a, b) => a * b, 1);
    feeds[name] = type === "int64" ? new Tensor("int64", BigInt64Array.from({ length: count }, (_, index) => BigInt(index % 900)), shape) : new Tensor("float32", Float32Array.from({ length: count }, (_, index) => (index % 256) / 256), shape);
  }
  for (let warm = 0; warm < 5; warm++) await session.run(feeds);
  const durationsMs: number[] = [];
  const end = performance.now() + Number(seconds) * 1_000;
  const started = performance.now();
  const startedCpu = process.cpuUsage();
  while (performance.now() < end) {
    const before = performance.now();
    await session.run(feeds);
    durationsMs.push(performance.now() - before);
  }
  const perSecond = (durationsMs.length * batch * 1_000) / (performance.now() - started);
  const { user, system } = process.cpuUsage(startedCpu);
  const cpuUs = (user + system) / (durationsMs.length * batch);
  durationsMs.sort((a, b) => a - b);
  const at = (share: number): number => durationsMs[Math.floor(durationsMs.length * share)] ?? Number.NaN;
  results[batch] = { perSecond, cpuUs, p50Ms: at(0.5), p99Ms: at(0.99) };
}
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit());
