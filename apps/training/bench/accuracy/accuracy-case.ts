import type { Network } from "@servable/nn";
import type { Feed } from "@servable/trainer";

/** Rows that lie in memory: what is written to a file for the other side as it is. */
export interface RowArray {
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  /** Shape of one row. */
  readonly shape: readonly number[];
}

/** A data set and a network, trained here and in PyTorch from the same weights over the same batches. */
export interface AccuracyCase {
  /** What the PyTorch side builds, see torch_accuracy.py. */
  readonly model: Readonly<Record<string, unknown>>;
  readonly network: Network;
  readonly training: Readonly<Record<string, RowArray>>;
  readonly test: Readonly<Record<string, RowArray>>;
  readonly batchSize: number;
  readonly steps: number;
  readonly learningRate: number;
  /** Whether the rate falls to 0 in a straight line: a network in the middle of large steps is judged by luck. */
  readonly decays?: boolean;
  /** Rows judged at once. */
  readonly portion: number;
  /** Parameters of a trained file to begin with. */
  readonly initial?: ReadonlyMap<string, Float32Array>;
  /** "accuracy" over rows, or the mean loss. */
  readonly metric: "accuracy" | "loss";
  /** Scales what lies in memory to what the network reads, e.g. pixels. */
  readonly scale?: { readonly input: string; readonly mean: readonly number[]; readonly deviation: readonly number[] };
}

/** Rows of an array as a batch. */
export function batchOf({ data, shape }: RowArray, rows: Uint32Array): Feed {
  const size = shape.reduce((product, each) => product * each, 1);
  const batch = new (data.constructor as Float32ArrayConstructor)(rows.length * size);
  rows.forEach((row, index) => batch.set(data.subarray(row * size, (row + 1) * size) as Float32Array, index * size));
  return { data: batch, shape: [rows.length, ...shape] };
}
