// Texts differ in length, batches do not. Requests are filled up to the next of a few declared lengths, so that those of one
// bucket run together; the mask that says what is real is made here, where it cannot be forgotten, and outputs are cut back.

import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { elementBytes, tensorOf } from "@servable/tensor";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { Signature } from "../config/signature.ts";
import type { PaddingRules } from "../config/padding-rules.ts";
import { WrappedExecutor } from "./wrapped-executor.ts";

/** Pads requests on their way to another executor and cuts the answers back. */
export class PaddingExecutor extends WrappedExecutor {
  readonly #signature: Signature;
  readonly #rules: PaddingRules;

  constructor(inner: Executor, signature: Signature, rules: PaddingRules) {
    super(inner);
    this.#signature = signature;
    this.#rules = rules;
  }

  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const { padded, lengths } = this.#pad(request);
    const result = await this.inner.infer(padded, context);
    return { ...result, outputs: result.outputs.map((output) => this.#cut(output, lengths)) };
  }

  #pad(request: InferRequest): { padded: InferRequest; lengths: ReadonlyMap<string, number> } {
    const tensors = new Map(request.inputs.map((tensor) => [tensor.name, tensor]));
    const lengths = new Map<string, number>();
    for (const { input, axis, buckets, value, mask } of this.#rules.inputs) {
      const tensor = tensors.get(input);
      if (tensor === undefined) continue;
      const length = tensor.shape[axis] ?? 0;
      const target = buckets.find((bucket) => bucket >= length) ?? length;
      lengths.set(input, length);
      tensors.set(input, padAxis(tensor, axis, target, value));
      if (mask === undefined) continue;
      const given = tensors.get(mask) ?? this.#ones(mask, [...tensor.shape.slice(0, axis), length]);
      if (given.shape[axis] !== length) throw new StatusError("SHAPE_MISMATCH", `input '${mask}' masks '${input}' and must be as long: ${length}, got ${given.shape[axis] ?? 0}`, { metadata: { input: mask } });
      tensors.set(mask, padAxis(given, axis, target, 0));
    }
    const inputs = this.#signature.inputs.map(({ name }) => tensors.get(name)).filter((tensor) => tensor !== undefined);
    return { padded: { ...request, inputs }, lengths };
  }

  #ones(name: string, shape: readonly number[]): NamedTensor {
    const datatype = this.#signature.inputs.find((spec) => spec.name === name)?.datatype ?? "INT64";
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    const one = datatype === "BOOL" ? true : datatype === "INT64" ? 1n : 1;
    return { name, ...tensorOf(datatype, shape, Array<unknown>(count).fill(one)) };
  }

  #cut(output: NamedTensor, lengths: ReadonlyMap<string, number>): NamedTensor {
    const rule = this.#rules.outputs.find((each) => each.output === output.name);
    const length = rule === undefined ? undefined : lengths.get(rule.input);
    return rule === undefined || length === undefined || (output.shape[rule.axis] ?? 0) <= length ? output : cutAxis(output, rule.axis, length);
  }
}

/** The tensor filled up with `value` along an axis. */
export function padAxis(tensor: NamedTensor, axis: number, length: number, value: number): NamedTensor {
  const { datatype, shape, data } = tensor;
  const from = shape[axis] ?? 0;
  if (from >= length) return tensor;
  const { outer, innerBytes } = strides(tensor, axis);
  const filler = fillerOf(tensor, value);
  const padded = Buffer.alloc(outer * length * innerBytes, filler);
  for (let row = 0; row < outer; row++) padded.set(data.subarray(row * from * innerBytes, (row + 1) * from * innerBytes), row * length * innerBytes);
  return { name: tensor.name, datatype, shape: shape.with(axis, length), data: padded };
}

/** The first `length` of an axis. */
export function cutAxis(tensor: NamedTensor, axis: number, length: number): NamedTensor {
  const { datatype, shape, data } = tensor;
  const from = shape[axis] ?? 0;
  const { outer, innerBytes } = strides(tensor, axis);
  const cut = Buffer.allocUnsafe(outer * length * innerBytes);
  for (let row = 0; row < outer; row++) cut.set(data.subarray(row * from * innerBytes, (row * from + length) * innerBytes), row * length * innerBytes);
  return { name: tensor.name, datatype, shape: shape.with(axis, length), data: cut };
}

function strides({ name, datatype, shape }: NamedTensor, axis: number): { outer: number; innerBytes: number } {
  const size = elementBytes(datatype);
  if (size === undefined) throw new StatusError("DATATYPE_MISMATCH", `'${name}' is ${datatype}, which cannot be padded`);
  const product = (dimensions: readonly number[]): number => dimensions.reduce((all, dimension) => all * dimension, 1);
  return { outer: product(shape.slice(0, axis)), innerBytes: product(shape.slice(axis + 1)) * size };
}

function fillerOf({ datatype }: NamedTensor, value: number): Uint8Array {
  const element = datatype === "BOOL" ? value !== 0 : datatype.includes("INT64") ? BigInt(value) : value;
  return tensorOf(datatype, [1], [element], "padding").data;
}
