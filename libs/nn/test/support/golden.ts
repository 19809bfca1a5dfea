import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Scope, type Mode } from "../../src/index.ts";
import { buildModel, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";

/** A tensor in a golden file: whole numbers are INT64 where an input's name says so. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** Values of a layer by a second implementation. */
export interface GoldenCase {
  readonly inputs: Readonly<Record<string, GoldenTensor>>;
  readonly weights: Readonly<Record<string, GoldenTensor>>;
  readonly outputs: Readonly<Record<string, GoldenTensor>>;
}

/** Reads goldens that stand beside their script. */
export function readGoldens<Goldens>(file: string): Goldens {
  return JSON.parse(readFileSync(new URL(`../goldens/${file}`, import.meta.url), "utf8")) as Goldens;
}

/** Inputs that are whole numbers. */
const WHOLE = new Set(["ids", "labels", "mask", "input_ids", "attention_mask", "token_type_ids"]);

/** How a golden case is run. */
export interface GoldenRun {
  readonly mode?: Mode;
  /** Axes of inputs whose size is a name in the graph, e.g. `{ x: { 0: "batch" } }`. */
  readonly names?: Readonly<Record<string, Readonly<Record<number, string>>>>;
}

/** Builds with the case's weights as constants, runs on its inputs and answers the outputs. */
export async function runGolden({ inputs, weights }: GoldenCase, build: (nn: Scope, inputs: Readonly<Record<string, Value>>) => Readonly<Record<string, Value>>, { mode = "eval", names = {} }: GoldenRun = {}): Promise<Record<string, GoldenTensor>> {
  const nn = new Scope({ mode, weights: (name) => weights[name] && Float32Array.from(weights[name].values) });
  const values = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, nn.input(name, WHOLE.has(name) ? "INT64" : "FP32", shape.map((size, axis) => names[name]?.[axis] ?? size))]));
  const outputs = build(nn, values);
  assert.deepEqual(new Set(nn.parameters.concat(nn.buffers as never[]).map(({ name }) => name)), new Set(Object.keys(weights)), "the layer has the parameters of PyTorch's");
  // Outputs get names of their own: one may be called as the buffer that it replaces.
  const session = await ort.InferenceSession.create(buildModel({ graph: nn.graph, outputs: prefixed(outputs) }), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const results = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, { shape, values: numbers }]) => [name, WHOLE.has(name) ? new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), [...shape]) : new ort.Tensor("float32", Float32Array.from(numbers), [...shape])])));
  for (const [name, value] of Object.entries(outputs)) {
    const stated = value.shape.filter((size) => typeof size === "number").length;
    if (stated === value.shape.length) assert.deepEqual(value.shape, results[`out.${name}`]?.dims, `the shape stated for "${name}"`);
  }
  return Object.fromEntries(Object.entries(results).map(([name, { dims, data }]) => [name.slice("out.".length), { shape: dims, values: Array.from(data as Float32Array) }]));
}

const prefixed = (outputs: Readonly<Record<string, Value>>): Record<string, Value> => Object.fromEntries(Object.entries(outputs).map(([name, value]) => [`out.${name}`, value]));

/** Shape and every element. */
export function assertClose(got: GoldenTensor | undefined, want: GoldenTensor | undefined, { atol, rtol }: { readonly atol: number; readonly rtol: number }, what: string): void {
  assert.deepEqual(got?.shape, want?.shape, what);
  want?.values.forEach((value, index) => {
    const is = got?.values[index] ?? NaN;
    assert.ok(Math.abs(is - value) <= atol + rtol * Math.abs(value), `${what}[${index}] is ${is}, PyTorch gives ${value}`);
  });
}
