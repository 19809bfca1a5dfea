import type { EvaluationDetail } from "@servable/evaluation";
import type { Network } from "@servable/nn";
import type { Evaluation, Feeds } from "@servable/trainer";
import type { EvaluationRecord } from "../domain/records.ts";

/** Runs a batch without changing anything. */
export type Evaluate = (batch: Feeds) => Promise<Evaluation>;

/** A file of a model version: path inside the version → bytes. */
export type ModelFiles = ReadonlyMap<string, Uint8Array>;

/** Where a batch stands in the training: what augmentation draws from. The same draw gives the same batch. */
export interface BatchDraw {
  /** 1, 2, 3 … */
  readonly epoch: number;
  /** Optimiser steps done before. */
  readonly step: number;
}

/**
 * What a job learns: data as batches, a network over them, and how the result is judged and packed. The loop around it
 * (steps, checkpoints, schedules, stopping) knows nothing else of it.
 */
export interface LearningTask {
  /** Row indices to learn from; the loop draws batches of them. */
  readonly trainingRows: Uint32Array;
  /** Row indices to be judged by; empty = none kept. */
  readonly validationRows: Uint32Array;
  /** Rows that the data set's split keeps for the last judgement; empty = none, the validation rows serve. */
  readonly testRows: Uint32Array;
  readonly network: Network;
  /** Values to begin with instead of the network's own, by parameter name: fine-tuning. */
  readonly initial?: ReadonlyMap<string, Float32Array>;
  /** What the run's record should say: columns that were left out, rows without a target. */
  readonly warnings: readonly string[];
  /** The rows as one batch; with a draw, augmented as training wants it. */
  feeds(rows: Uint32Array, draw?: BatchDraw): Feeds;
  /** Judges the network on rows. @param detail "summary" each epoch, "full" at the end. @default "full" */
  judge(rows: Uint32Array, evaluate: Evaluate, detail?: EvaluationDetail): Promise<EvaluationRecord>;
  /** What is registered: "model.onnx" with its preprocessing, and files beside it (labels, tokenizer, task manifest). */
  pack(weights: ReadonlyMap<string, Float32Array>): Promise<ModelFiles>;
}
