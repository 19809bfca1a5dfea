import { StatusError } from "@servable/errors";
import { Scope, type BufferSpec, type Network, type ParameterSpec } from "@servable/nn";
import { GraphError, type Value } from "@servable/onnx";
import type { Datatype } from "@servable/tensor";
import ort from "onnxruntime-node";
import type { Feed, Feeds } from "./trainer.ts";

/** What a network is made of, whatever the size of a batch. */
export interface NetworkSignature {
  readonly parameters: readonly ParameterSpec[];
  readonly buffers: readonly BufferSpec[];
  /** What callers feed; sizes that vary are names. */
  readonly inputs: readonly Value[];
}

/**
 * Builds the network once with named dimensions, to learn what it has; one that cannot be built so takes the given sizes, and
 * then only those.
 *
 * @throws StatusError `NETWORK_INVALID` with what the network's builder says
 */
export function signatureOf(network: Network, seed: number | bigint, dimensions?: Readonly<Record<string, number>>): NetworkSignature {
  let scope = new Scope({ mode: "eval", seed });
  let loss: Value | undefined;
  try {
    ({ loss } = built(network, scope));
  } catch (error) {
    if (dimensions === undefined) throw error;
    scope = new Scope({ mode: "eval", seed, dimensions });
    ({ loss } = built(network, scope));
  }
  if (loss === undefined) throw invalid("it has no loss: return { loss, outputs } in modes train and eval");
  const state = new Set([...scope.parameters, ...scope.buffers].map(({ name }) => name));
  return { parameters: scope.parameters, buffers: scope.buffers, inputs: scope.graph.inputs.filter(({ name }) => !state.has(name)) };
}

/** A network's outputs in a scope; its mistakes as errors that cross a boundary. */
export function built(network: Network, scope: Scope): ReturnType<Network> {
  try {
    return network(scope);
  } catch (error) {
    if (error instanceof GraphError) throw invalid(error.message, error);
    throw error;
  }
}

/** @returns error `NETWORK_INVALID` */
export function invalid(message: string, cause?: unknown): StatusError {
  return new StatusError("NETWORK_INVALID", `the network cannot be trained: ${message}`, { cause });
}

const ARRAYS: Readonly<Partial<Record<Datatype, { readonly type: ort.Tensor.Type; readonly array: new (length: number) => Feed["data"] }>>> = {
  FP32: { type: "float32", array: Float32Array },
  INT32: { type: "int32", array: Int32Array },
  INT64: { type: "int64", array: BigInt64Array },
  UINT8: { type: "uint8", array: Uint8Array },
  BOOL: { type: "bool", array: Uint8Array },
};

/**
 * The sizes of named dimensions in a batch.
 *
 * @throws StatusError `INPUT_MISSING`, `DATATYPE_MISMATCH` or `SHAPE_MISMATCH` naming the input
 */
export function sizesOf(inputs: readonly Value[], feeds: Feeds): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const { name, datatype, shape } of inputs) {
    const feed = feeds[name];
    if (feed === undefined) throw new StatusError("INPUT_MISSING", `the batch lacks the input "${name}" (${datatype} [${shape.join()}])`);
    const expected = ARRAYS[datatype];
    if (expected === undefined) throw invalid(`input "${name}" is ${datatype}; batches hold ${Object.keys(ARRAYS).join(", ")}`);
    if (!(feed.data instanceof expected.array)) throw new StatusError("DATATYPE_MISMATCH", `input "${name}" is ${datatype}: feed a ${expected.array.name}, not a ${feed.data.constructor.name}`);
    let count = 1;
    for (const size of feed.shape) count *= size;
    if (count !== feed.data.length) throw new StatusError("SHAPE_MISMATCH", `input "${name}": shape [${feed.shape.join()}] takes ${count} numbers, ${feed.data.length} were fed`);
    const fits = feed.shape.length === shape.length && shape.every((size, axis) => (typeof size === "number" ? size : (sizes[size] ??= feed.shape[axis] ?? 0)) === feed.shape[axis]);
    if (!fits) throw new StatusError("SHAPE_MISMATCH", `input "${name}" has the shape [${feed.shape.join()}]; [${shape.map((size) => (typeof size === "string" && sizes[size] !== undefined ? `${size} = ${sizes[size]}` : size)).join()}] is needed`);
  }
  return sizes;
}

/** A fed array as onnxruntime takes it, not copied. */
export function ortTensorOf({ datatype }: Value, { data, shape }: Feed): ort.Tensor {
  return new ort.Tensor(ARRAYS[datatype]?.type as "float32", data as Float32Array, shape);
}
