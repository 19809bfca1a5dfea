// The contract of a trainer; create-trainer.ts makes one.

import type { Tensor } from "@servable/tensor";
import type { Network } from "@servable/nn";

/** Arrays that a batch may be given as; their datatype must be the input's. */
export type FeedData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

/** One input of a batch. */
export interface Feed {
  readonly data: FeedData;
  readonly shape: readonly number[];
}

/** A batch by the names of the network's inputs. */
export type Feeds = Readonly<Record<string, Feed>>;

/** What one optimiser step says of itself. */
export interface StepResult {
  /** Optimiser steps done, this one included. */
  readonly step: number;
  readonly loss: number;
  /** Euclidean length of all gradients together, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** False where loss or gradients were not finite: nothing was changed. */
  readonly applied: boolean;
}

/** What a network says of a batch. */
export interface Evaluation {
  readonly loss: number;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** Everything a trainer needs to go on exactly where it was: parameters, buffers, the optimiser's state and the counters. */
export interface Snapshot {
  /** By name: "parameter/…" (trainable ones: the others do not change), "buffer/…", "optimizer/<slot>/…", "average/…" */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  /** Counters and schedule state, JSON. */
  readonly state: Readonly<Record<string, unknown>>;
}

/** A network under training. */
export interface Trainer extends AsyncDisposable {
  /** Numbers in all trainable parameters. */
  readonly parameterCount: number;
  /** SHA-256 of the training graph's bytes, of the sizes of the first batch. */
  readonly graphDigest: string | undefined;
  /** Builds the graph for batches of these sizes, without a step; answers its digest. @throws StatusError as {@link step} */
  prepare(batch: Feeds): string;
  /**
   * Forward, backward and update over one batch, or several that are accumulated into one update: each counts by its rows (its
   * dimension "batch"), so that for a loss that is a mean over rows the update is that of one batch with all of them.
   *
   * @throws StatusError `INPUT_MISSING`, `DATATYPE_MISMATCH`, `SHAPE_MISMATCH` naming the input; `NETWORK_INVALID` for a size of batch that the network cannot have; `INFERENCE_FAILED` when onnxruntime cannot compute the batch, e.g. for a label outside its range. Nothing is changed then
   */
  step(batches: Feeds | readonly Feeds[]): Promise<StepResult>;
  /** Forward with the loss, nothing changed: dropout off, running statistics, averaged parameters where EMA is on. */
  evaluate(batch: Feeds): Promise<Evaluation>;
  /** Tells the plateau schedule how good the network is now; without one it has no effect. */
  observe(metric: number): void;
  /** Current values by parameter and buffer name; the averaged ones where EMA is on. Views of the arena: copy what must last. */
  weights(): ReadonlyMap<string, Float32Array>;
  save(): Snapshot;
  /** @throws StatusError `CHECKPOINT_INCOMPATIBLE` naming the tensor that is missing or has another shape */
  restore(snapshot: Snapshot): void;
  /** The model with its current weights as ONNX bytes; `network` may be another one over the same parameters, e.g. with preprocessing. */
  export(network?: Network): Uint8Array;
}
