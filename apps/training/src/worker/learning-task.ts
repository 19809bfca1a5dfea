import type { Network } from "@servable/nn";
import type { Evaluation, Feeds } from "@servable/trainer";
import type { EvaluationRecord } from "../domain/records.ts";

/** Runs a batch without changing anything. */
export type Evaluate = (batch: Feeds) => Promise<Evaluation>;

/** A file of a model version: path inside the version → bytes. */
export type ModelFiles = ReadonlyMap<string, Uint8Array>;

/**
 * What a job learns: data as batches, a network over them, and how the result is judged and packed. The loop around it
 * (steps, checkpoints, schedules, stopping) knows nothing else of it.
 */
export interface LearningTask {
  /** Row indices to learn from; the loop draws batches of them. */
  readonly trainingRows: Uint32Array;
  /** Row indices to be judged by; empty = none kept. */
  readonly validationRows: Uint32Array;
  readonly network: Network;
  /** Values to begin with instead of the network's own, by parameter name: fine-tuning. */
  readonly initial?: ReadonlyMap<string, Float32Array>;
  /** The rows as one batch. `draw` names the pass and place of the batch for augmentation: the same draw, the same batch. */
  feeds(rows: Uint32Array, draw?: { readonly epoch: number; readonly step: number }): Feeds;
  /** Judges the network on rows. */
  judge(rows: Uint32Array, evaluate: Evaluate): Promise<EvaluationRecord>;
  /** What is registered: "model.onnx" with its preprocessing, and files beside it (labels, tokenizer, task manifest). */
  pack(weights: ReadonlyMap<string, Float32Array>): Promise<ModelFiles>;
}
