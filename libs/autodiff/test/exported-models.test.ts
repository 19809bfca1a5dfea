// Models that PyTorch exported: all that a rule alone cannot show, e.g. what becomes of weights that exporters turn and fold.
// goldens/exported_models.py made them, and makes many more: SERVABLE_EXPORTED_MODELS names a folder of them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Graph, add, buildModel, importGraph, mul, readModel, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { gradients } from "../src/index.ts";

interface Exported {
  readonly inputs: readonly { readonly name: string; readonly type: "float32" | "int64"; readonly shape: readonly number[]; readonly data: string }[];
  readonly outputs: readonly { readonly name: string; readonly data: string }[];
  /** By parameter: initializers that hold it, as it is or turned, and the gradient. */
  readonly gradients: Readonly<Record<string, { readonly same: readonly string[]; readonly turned: readonly string[]; readonly shape: readonly number[]; readonly data: string }>>;
  readonly inputGradients: Readonly<Record<string, string>>;
}

const FIXTURES = new URL("./goldens/exported", import.meta.url).pathname;
const folder = process.env["SERVABLE_EXPORTED_MODELS"] ?? FIXTURES;

describe("gradients of models that PyTorch exported", () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".onnx")).sort()) {
    it(`agree with autograd: ${file.slice(0, -".onnx".length)}`, async () => {
      const exported = JSON.parse(readFileSync(join(folder, file.replace(/onnx$/, "json")), "utf8")) as Exported;
      const graph = new Graph();
      const inputs = new Map(exported.inputs.map(({ name, type, shape }) => [name, graph.input(name, type === "float32" ? "FP32" : "INT64", shape)]));
      const model = importGraph(readModel(readFileSync(join(folder, file))), { graph, inputs: Object.fromEntries(inputs) });
      const outputs = exported.outputs.map(({ name }) => model.outputs.get(name) as Value);
      const loss = outputs.map((y, at) => weighted(graph, y, at, bytesOf(exported.outputs[at]?.data).byteLength / 4)).reduce((sum, each) => add(graph, sum, each));
      const initializers = Object.values(exported.gradients).flatMap(({ same, turned }) => [...same, ...turned]);
      const wanted = [...initializers, ...Object.keys(exported.inputGradients)];
      const found = gradients(graph, loss, wanted.map((name) => model.values.get(name) as Value));
      const session = await ort.InferenceSession.create(buildModel({ graph, outputs: Object.fromEntries([...outputs.map((y, at) => [`y${at}`, y] as const), ...found.map((value, at) => [`d${at}`, value] as const)]) }), { intraOpNumThreads: 1, logSeverityLevel: 3 });

      const results = await session.run(Object.fromEntries(exported.inputs.map(({ name, type, shape, data }) => [name, tensorOf(type, shape, data)])));

      exported.outputs.forEach(({ name, data }, at) => close(results[`y${at}`]?.data as Float32Array, floatsOf(data), name));
      const gradientOf = (name: string): Float32Array => results[`d${wanted.indexOf(name)}`]?.data as Float32Array;
      for (const [parameter, { same, turned, shape, data }] of Object.entries(exported.gradients)) {
        const parts = [...same.map(gradientOf), ...turned.map((name) => transposed(gradientOf(name), shape))];
        close(Float32Array.from(parts[0] ?? [], (_, index) => parts.reduce((sum, part) => sum + (part[index] ?? NaN), 0)), floatsOf(data), `gradient of ${parameter}`);
      }
      for (const [name, data] of Object.entries(exported.inputGradients)) close(gradientOf(name), floatsOf(data), `gradient of ${name}`);
    });
  }
});

function weighted(graph: Graph, y: Value, at: number, count: number): Value {
  const flat = graph.node("Reshape", [y, graph.constant("INT64", [1], [-1n])], { datatype: y.datatype, shape: [count] });
  const weights = graph.constant("FP32", [count], Array.from({ length: count }, (_, index) => Math.sin(1.7 * (index % 13) + 7.3 + at)));
  return reduceSum(graph, mul(graph, flat, weights), [0]);
}

/** Gradients that are zero by cancelling, e.g. of a bias before a softmax, are held against this. */
const NOTHING = 0.1;

function transposed(values: Float32Array, [rows = 1, columns = 1]: readonly number[]): Float32Array {
  return Float32Array.from(values, (_, index) => values[(index % columns) * rows + Math.floor(index / columns)] ?? NaN);
}

/** PyTorch's gradients are those of double precision; ours are sums in f32. */
function close(got: Float32Array, want: Float32Array, what: string): void {
  assert.equal(got.length, want.length, what);
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), NOTHING);
  want.forEach((value, index) => assert.ok(Math.abs((got[index] ?? NaN) - value) <= 1e-5 * largest, `${what} [${index}]: ${got[index]}, expected ${value}, the largest ${largest}`));
}

const bytesOf = (data = ""): Uint8Array => Uint8Array.from(Buffer.from(data, "base64"));
const floatsOf = (data: string): Float32Array => new Float32Array(bytesOf(data).buffer);

function tensorOf(type: "float32" | "int64", shape: readonly number[], data: string): ort.Tensor {
  return type === "float32" ? new ort.Tensor(type, floatsOf(data), [...shape]) : new ort.Tensor(type, new BigInt64Array(bytesOf(data).buffer), [...shape]);
}
