import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { decodeBytesElements, elementCount, encodeBytesElements, isFloat, typedArrayOf, type Tensor } from "@servable/tensor";
import type { InferRequest } from "../executors/executor.ts";
import type { RequestTarget } from "../requests/request-target.ts";

/** A request taken apart. */
export interface Examples {
  /** The inputs of each example; with a first dimension of 1 where they batch. */
  readonly each: readonly (readonly NamedTensor[])[];
  /** How many examples fit in one request; 1 = the model does not batch. */
  readonly batchMax: number;
  /** Whether the first dimension counts examples. */
  readonly batches: boolean;
}

/** Examples of one call. */
const EXAMPLES_MAX = 16;
/** Examples in one request where the configuration sets no bound. */
const BATCH_MAX = 32;

/**
 * The examples of a request: rows of its batch, where the first dimension of every input and output varies.
 *
 * @throws StatusError `FIELD_INVALID` when there are too many
 */
export function examplesOf({ inputs }: InferRequest, { signature, maxBatchSize }: Pick<RequestTarget, "signature" | "maxBatchSize">): Examples {
  const count = inputs[0]?.shape[0] ?? 1;
  const varies = [...signature.inputs, ...signature.outputs].every(({ shape }) => shape[0] === -1) && inputs.every(({ shape }) => shape[0] === count);
  if (!(maxBatchSize > 0 || varies) || inputs.length === 0) return { each: [inputs], batchMax: 1, batches: false };
  if (count > EXAMPLES_MAX || count === 0) throw new StatusError("FIELD_INVALID", `the batch has ${count} examples: 1 to ${EXAMPLES_MAX} are explained in one call`, { metadata: { field: "inputs" } });
  const each = Array.from({ length: count }, (_, row) => inputs.map((input) => rowOf(input, row)));
  return { each, batchMax: maxBatchSize > 0 ? Math.min(maxBatchSize, BATCH_MAX) : BATCH_MAX, batches: true };
}

/** Examples as one batch. */
export function batchOf(examples: readonly (readonly NamedTensor[])[]): NamedTensor[] {
  const [first = []] = examples;
  return first.map((input, index) => ({ ...input, shape: [examples.length, ...input.shape.slice(1)], data: Buffer.concat(examples.map((example) => example[index]?.data ?? new Uint8Array())) }));
}

/** An output's numbers for each example. @throws StatusError `EXPLANATION_UNSUPPORTED` for outputs of other kinds */
export function scoresOf(output: Tensor, name: string, examples: number): Float64Array[] {
  const values = numbersOf(output, name);
  const each = values.length / examples;
  return Array.from({ length: examples }, (_, row) => values.slice(row * each, (row + 1) * each));
}

/** Index of the largest number. */
export function largestOf(scores: Float64Array): number {
  return scores.reduce((best, score, index) => (score > (scores[best] ?? -Infinity) ? index : best), 0);
}

function rowOf(input: NamedTensor, row: number): NamedTensor {
  const [count = 1, ...rest] = input.shape;
  if (input.datatype === "BYTES") {
    const texts = decodeBytesElements(input.data, elementCount(input.shape, input.name), input.name);
    const each = texts.length / count;
    return { ...input, shape: [1, ...rest], data: encodeBytesElements(texts.slice(row * each, (row + 1) * each)) };
  }
  const bytes = input.data.length / count;
  return { ...input, shape: [1, ...rest], data: input.data.subarray(row * bytes, (row + 1) * bytes) };
}

function numbersOf(output: Tensor, name: string): Float64Array {
  if (!isFloat(output.datatype)) throw new StatusError("EXPLANATION_UNSUPPORTED", `output "${name}" is ${output.datatype}: only real numbers are explained`, { metadata: { output: name } });
  elementCount(output.shape, name);
  if (output.datatype === "BF16") return Float64Array.from(new Float32Array(Uint32Array.from(typedArrayOf(output) as Uint16Array, (half) => half << 16).buffer));
  return Float64Array.from(typedArrayOf(output) as ArrayLike<number>);
}
