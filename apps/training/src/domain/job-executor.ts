import type { DatasetInput } from "./dataset-reader/dataset-table.ts";
import type { EvaluationRecord, ProgressRecord, TrainingSpecRecord } from "./records.ts";
import type { CostEstimate, JobMessage, JobUsage, RunRecord } from "./run-record.ts";

/** What a training process is told. All of it can be written to a file: processes of another machine read it from there. */
export interface AttemptInput extends DatasetInput {
  /** The part of each row, as the data set's stored split has it: one byte a row (0 training, 1 validation, 2 test, 3 unused). Unset = the task draws one by seed and validationFraction. */
  readonly split?: { readonly path: string; readonly sha256: string } | undefined;
  /** The base model's files as its version has them, e.g. "model.onnx" and "tokenizer.json". */
  readonly baseModel?: { readonly folder: string; readonly digest: string } | undefined;
  readonly spec: TrainingSpecRecord;
  /** An empty folder for the result. */
  readonly outputDir: string;
  /** `probe` runs a few steps to measure them and makes nothing. @default "train" */
  readonly mode?: "train" | "probe" | undefined;
  /** "sha256:…" of the data set, for the record. */
  readonly datasetDigest?: string | undefined;
  /** An empty folder for checkpoints; unset = none are written. */
  readonly checkpointDir?: string | undefined;
  /** What to go on from, newest first: the first whose bytes are whole is taken. */
  readonly checkpoints?: readonly AvailableCheckpoint[] | undefined;
  /** Time between two checkpoints where the specification says none. */
  readonly checkpointIntervalMs?: number | undefined;
}

/** A checkpoint as a file that may be read. */
export interface AvailableCheckpoint {
  readonly path: string;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  readonly step: number;
}

/** A checkpoint that a process wrote to its folder. */
export interface WrittenCheckpoint extends AvailableCheckpoint {
  readonly sizeBytes: number;
  readonly epoch: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly best: boolean;
}

/** One file of a result. */
export interface ResultFile {
  /** Name inside the model version, e.g. "model.onnx". */
  readonly path: string;
  /** Where it lies. */
  readonly file: string;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** What a training process made. */
export interface AttemptResult {
  /** "model.onnx" and what belongs to it, in the output folder. */
  readonly files: readonly ResultFile[];
  readonly evaluation: EvaluationRecord;
  /** Settings of the Open Inference Protocol's ModelConfig as JSON. */
  readonly servingConfigJson?: string | undefined;
  readonly runRecord?: RunRecord | undefined;
}

/** What an attempt says while it runs. */
export type AttemptNews =
  | { readonly kind: "progress"; readonly progress: ProgressRecord }
  | { readonly kind: "log"; readonly message: JobMessage }
  | { readonly kind: "checkpoint"; readonly checkpoint: WrittenCheckpoint }
  /** What decides the result, as far as it is known. */
  | { readonly kind: "record"; readonly runRecord: RunRecord }
  | { readonly kind: "estimate"; readonly estimate: CostEstimate }
  /** What the attempt used so far. */
  | { readonly kind: "usage"; readonly usage: JobUsage };

/** How an attempt ended. */
export type AttemptOutcome =
  | { readonly kind: "done"; readonly result: AttemptResult }
  | { readonly kind: "failed"; readonly reason: string; readonly message: string }
  /** The process ended without an answer. */
  | { readonly kind: "died"; readonly how: string }
  /** It was asked to stop and the process is gone; what it had to save it has told as a checkpoint. */
  | { readonly kind: "stopped" }
  /** A probe is over. */
  | { readonly kind: "probed"; readonly estimate: CostEstimate };

/** Why a running attempt is told to stop: reason of the signal. */
export type StopReason =
  | "cancelled"
  | "paused"
  /** Another job gets its place. */
  | "preempted"
  /** The service ends. */
  | "shutdown"
  /** It is no longer this service's: nobody may hear of it any more. */
  | "lost";

/** Bounds of one attempt. */
export interface AttemptLimits {
  /** Resident bytes. */
  readonly memoryBytes: number;
  /** Wall clock. */
  readonly runMs: number;
  /** What the job's owner is told when the time is over. */
  readonly timeMessage: string;
}

/** What an executor is given beside the input. */
export interface AttemptHooks {
  /** Aborts with a {@link StopReason}. */
  readonly signal: AbortSignal;
  readonly limits: AttemptLimits;
  readonly onNews: (news: AttemptNews) => void;
}

/** Trains where it can do no harm; resolves in every case, and only when the process is gone. */
export type JobExecutor = (input: AttemptInput, hooks: AttemptHooks) => Promise<AttemptOutcome>;
