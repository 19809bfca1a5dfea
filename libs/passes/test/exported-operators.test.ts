// Modules of many operators, as PyTorch's default exporter writes them: outputs and gradients by inputs are PyTorch's own.
// Goldens: fixtures/make-operator-fixtures.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gradients } from "@servable/autodiff";
import { Scope } from "@servable/nn";
import { buildModel, mul, readModel, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { checkTrainable, trainable } from "../src/index.ts";

interface Golden {
  readonly inputs: readonly { readonly shape: readonly number[]; readonly kind: string; readonly data: readonly number[] }[];
  readonly y: readonly number[];
  /** By input; null for whole numbers and masks. */
  readonly gradients: readonly (readonly number[] | null)[];
}
const fixture = (file: string): Buffer => readFileSync(new URL(`fixtures/${file}`, import.meta.url));
const GOLDEN = JSON.parse(fixture("exported-operators.golden.json").toString()) as Record<string, Golden>;

function tensorOf({ shape, kind, data }: Golden["inputs"][number]): ort.Tensor {
  if (kind === "bool") return new ort.Tensor("bool", Uint8Array.from(data.map(Number)), [...shape]);
  return kind === "int64" ? new ort.Tensor("int64", BigInt64Array.from(data, BigInt), [...shape]) : new ort.Tensor("float32", Float32Array.from(data), [...shape]);
}

/** Values differ by the order of sums in f32. */
function near(got: ArrayLike<number> | undefined, want: readonly number[], what: string): void {
  assert.equal(got?.length, want.length, what);
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
  want.forEach((value, index) => assert.ok(Math.abs((got?.[index] as number) - value) <= 2e-4 * Math.abs(value) + 5e-5 * largest, `${what}[${index}] is ${got?.[index]}, PyTorch has ${value}`));
}

describe("modules exported by PyTorch", () => {
  for (const [name, golden] of Object.entries(GOLDEN)) {
    it(`have PyTorch's outputs and gradients: ${name}`, async () => {
      const model = readModel(fixture(`operators/${name}.onnx`));
      checkTrainable(model);
      const nn = new Scope({ mode: "train" });
      const { inputs, outputs } = trainable(nn, model);
      const y = outputs.get("y") as Value;
      // In f32, as PyTorch has them: the sine of a large number feels its last bits.
      const weights = nn.graph.constant("FP32", y.shape as number[], Array.from(golden.y, (_, index) => Math.sin(Math.fround(Math.fround(index * Math.fround(1.7)) + Math.fround(7.3)))));
      const wrt = [...inputs.values()].filter(({ datatype }) => datatype === "FP32");
      const grads = gradients(nn.graph, reduceSum(nn.graph, mul(nn.graph, y, weights)), wrt);
      const bytes = buildModel({ graph: nn.graph, outputs: { y, ...Object.fromEntries(grads.map((value, index) => [`gradient/${wrt[index]?.name}`, value])) } });
      const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });

      const fed = golden.inputs.flatMap((input, index) => (inputs.has(`x${index}`) ? [[`x${index}`, tensorOf(input)] as const] : []));
      const results = await session.run({ ...Object.fromEntries(fed), ...Object.fromEntries(nn.parameters.map((parameter) => [parameter.name, new ort.Tensor("float32", parameter.initial(), [...parameter.shape])])) });

      near(results["y"]?.data as Float32Array, golden.y, "y");
      golden.gradients.forEach((want, index) => {
        if (want !== null) near(results[`gradient/x${index}`]?.data as Float32Array, want, `gradient of x${index}`);
      });
      assert.ok(nn.parameters.length > 0);
    });
  }
});
