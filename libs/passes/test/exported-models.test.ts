// Models that PyTorch exported, by either of its exporters, trained here: loss, outputs, gradients and running statistics are
// PyTorch's own. Goldens: fixtures/make-fixtures.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gradients } from "@servable/autodiff";
import { Scope, type Mode } from "@servable/nn";
import { buildModel, mul, readModel, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { checkTrainable, trainable } from "../src/index.ts";

interface Run {
  readonly loss: number;
  readonly y: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly buffers: Readonly<Record<string, readonly number[]>>;
}
interface Golden {
  readonly x: readonly number[];
  readonly shape: readonly number[];
  readonly integer: boolean;
  readonly eval: Run;
  readonly train: Run;
}
const fixture = (file: string): Buffer => readFileSync(new URL(`fixtures/${file}`, import.meta.url));
const GOLDEN = JSON.parse(fixture("exported-models.golden.json").toString()) as Record<string, Golden>;

/** Values differ by the order of sums in f32. */
function near(got: ArrayLike<number>, want: readonly number[], what: string): void {
  assert.equal(got.length, want.length, what);
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
  want.forEach((value, index) => assert.ok(Math.abs((got[index] as number) - value) <= 2e-4 * Math.abs(value) + 2e-5 * largest, `${what}[${index}] is ${got[index]}, PyTorch has ${value}`));
}

/** Names of parameters as PyTorch has them; the exporters keep those of what they do not rewrite. */
async function train(file: string, golden: Golden, mode: Mode): Promise<{ run: Run; parameterCount: number }> {
  const model = readModel(fixture(file));
  checkTrainable(model);
  const nn = new Scope({ mode, dimensions: { batch: golden.shape[0] as number } });
  const { inputs, outputs } = trainable(nn, model, { dropout: false });
  const y = [...outputs.values()][0] as Value;
  const weights = nn.graph.constant("FP32", y.shape as number[], Array.from({ length: golden.eval.y.length }, (_, index) => Math.sin(index * 1.7 + 7.3)));
  const loss = reduceSum(nn.graph, mul(nn.graph, y, weights));
  const grads = gradients(nn.graph, loss, nn.parameters.map(({ value }) => value));
  const named = (prefix: string, entries: readonly (readonly [string, Value | undefined])[]): Record<string, Value> => Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[`${prefix}/${name}`, value]])));
  const bytes = buildModel({ graph: nn.graph, outputs: { loss, "out/y": y, ...named("gradient", nn.parameters.map(({ name }, index) => [name, grads[index]])), ...named("buffer", nn.buffers.map(({ name, next }) => [name, next])) } });
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const state = [...nn.parameters, ...nn.buffers].map(({ name, shape, initial }) => [name, new ort.Tensor("float32", initial(), [...shape])] as const);
  const x = golden.integer ? new ort.Tensor("int64", BigInt64Array.from(golden.x, BigInt), [...golden.shape]) : new ort.Tensor("float32", Float32Array.from(golden.x), [...golden.shape]);
  const results = await session.run({ [[...inputs.values()][0]?.name ?? "x"]: x, ...Object.fromEntries(state) });
  const under = (prefix: string): Record<string, number[]> => Object.fromEntries(Object.entries(results).filter(([name]) => name.startsWith(`${prefix}/`)).map(([name, tensor]) => [name.slice(prefix.length + 1), Array.from(tensor.data as Float32Array)]));
  return { parameterCount: nn.parameters.length, run: { loss: Number(results["loss"]?.data[0]), y: under("out")["y"] ?? [], gradients: under("gradient"), buffers: under("buffer") } };
}

describe("models exported by PyTorch", () => {
  for (const [name, golden] of Object.entries(GOLDEN)) {
    for (const exporter of ["legacy", "dynamo"]) {
      for (const mode of name === "cnn" ? (["eval", "train"] as const) : (["train"] as const)) {
        it(`have PyTorch's gradients: ${name} by the ${exporter} exporter, in mode ${mode}`, async () => {
          const want = golden[mode];

          const { run, parameterCount } = await train(`${name}-${exporter}.onnx`, golden, mode);

          near([run.loss], [want.loss], "loss");
          near(run.y, want.y, "y");
          const common = Object.keys(run.gradients).filter((parameter) => want.gradients[parameter] !== undefined);
          assert.ok(common.length >= parameterCount / 3, `only ${common.join()} of ${Object.keys(run.gradients).join()} have PyTorch's names`);
          for (const parameter of common) near(run.gradients[parameter] ?? [], want.gradients[parameter] ?? [], `gradient of ${parameter}`);
          if (mode === "train") assert.equal(Object.keys(run.buffers).length, Object.keys(want.buffers).length);
          for (const [buffer, values] of Object.entries(run.buffers)) near(values, want.buffers[buffer] ?? [], buffer);
        });
      }
    }
  }
});
