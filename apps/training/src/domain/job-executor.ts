import type { DatasetInput, SplitRows } from "./dataset-reader/dataset-table.ts";
import type { EvaluationRecord, ProgressRecord, TrainingSpecRecord } from "./records.ts";

/** What a training process is told; all of it can be sent to another process. */
export interface AttemptInput extends DatasetInput {
  /** Rows of the data set's stored split that the specification names; unset = the task draws one by seed and validationFraction. */
  readonly splitRows?: SplitRows | undefined;
  /** The base model's files as its version has them, e.g. "model.onnx" and "tokenizer.json". */
  readonly baseModel?: { readonly folder: string } | undefined;
  readonly spec: TrainingSpecRecord;
  /** An empty folder for the result. */
  readonly outputDir: string;
}

/** What a training process made. */
export interface AttemptResult {
  /** The ONNX file in the output folder. */
  readonly modelPath: string;
  /** 64 hexadecimal digits. */
  readonly modelSha256: string;
  readonly evaluation: EvaluationRecord;
  /** Settings of the Open Inference Protocol's ModelConfig as JSON. */
  readonly servingConfigJson?: string | undefined;
}

/** How an attempt ended. */
export type AttemptOutcome =
  | { readonly kind: "done"; readonly result: AttemptResult }
  | { readonly kind: "failed"; readonly reason: string; readonly message: string }
  /** The process ended without an answer. */
  | { readonly kind: "died"; readonly how: string }
  /** The signal aborted and the process is gone. */
  | { readonly kind: "stopped" };

/** Trains where it can do no harm; resolves in every case, and only when the process is gone. */
export type JobExecutor = (input: AttemptInput, hooks: { readonly signal: AbortSignal; readonly onProgress: (progress: ProgressRecord) => void }) => Promise<AttemptOutcome>;
