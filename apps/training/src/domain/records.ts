// What the service keeps, as plain values: rpc/messages.ts turns them into messages, store/ into rows.

import type { Identity } from "@servable/auth";
import type { EvaluationReport } from "@servable/evaluation";
import { NO_USAGE, type CheckpointRecord, type CostEstimate, type JobLimits, type JobMessage, type JobUsage, type RunRecord } from "./run-record.ts";
import type { TrainingSpecRecord } from "./training-spec-record.ts";

export type { Family, OptimizerKind, TrainingSpecRecord } from "./training-spec-record.ts";

/** How a data set's bytes are laid out. */
export type DatasetFormat = "csv" | "idx" | "npy" | "jsonl" | "parquet" | "npz" | "image_zip" | "text" | "chat";

/** What a column's values are. */
export type ColumnKind = "numeric" | "categorical" | "text" | "boolean" | "datetime" | "ignored";

/** One column of a table. */
export interface ColumnRecord {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly missingCount: number;
  /** Values of a categorical column, most frequent first; at most 1000. */
  readonly categories: readonly string[];
  readonly mean: number;
  readonly standardDeviation: number;
  /** Absent on data sets of before they were counted. */
  readonly statistics?: ColumnStatistics | undefined;
}

/** What the values of a column are like; moments count as milliseconds since 1970. */
export interface ColumnStatistics {
  readonly presentCount: number;
  /** Counted up to 1001. */
  readonly distinctCount: number;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** Of 5, 25, 50, 75 and 95 of 100; of more than 16384 values estimated from a seeded sample. */
  readonly quantiles: readonly number[];
  readonly histogramEdges: readonly number[];
  /** Share of the present values in each bin. */
  readonly histogramShares: readonly number[];
  /** Rows of each of the column's categories. */
  readonly categoryCounts: readonly number[];
  readonly meanLength: number;
}

/** A row that was left out. */
export interface SkippedRow {
  /** "line 17", "row 17", or a path inside a zip. */
  readonly place: string;
  readonly reason: string;
}

/** How the rows of a data set were divided. */
export interface SplitRecord {
  readonly splitId: string;
  readonly method: "random" | "stratified" | "group" | "time" | "given";
  /** Empty = none. */
  readonly column: string;
  readonly validationFraction: number;
  readonly testFraction: number;
  readonly seed: number;
  /** Of the assignment, one byte a row; 64 hexadecimal digits. */
  readonly sha256: string;
  readonly trainingRowCount: number;
  readonly validationRowCount: number;
  readonly testRowCount: number;
  readonly createTimeMs: number;
}

/** One stored file of a data set. */
export interface DatasetFileRecord {
  /** "data", "images" or "labels". */
  readonly role: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** One version of a data set; nothing of it changes but that splits come along. */
export interface DatasetRecord {
  readonly name: string;
  readonly project: string;
  readonly format: DatasetFormat;
  readonly description: string;
  readonly columns: readonly ColumnRecord[];
  readonly missingValues: readonly string[];
  readonly rowCount: number;
  /** Shape of one image; empty for tables. */
  readonly imageShape: readonly number[];
  readonly labelClasses: readonly string[];
  /** "sha256:…" over roles and file digests. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly files: readonly DatasetFileRecord[];
  readonly createTimeMs: number;
  /** From 1 on. */
  readonly version: number;
  /** Whether rows that cannot be read are left out. */
  readonly skipBadRows: boolean;
  /** Names of the columns of a CSV without a header line. */
  readonly header: readonly string[];
  /** What was said of columns at the upload; the others were inferred. */
  readonly columnOverrides: readonly { readonly name: string; readonly kind: ColumnKind }[];
  readonly skippedRows: readonly SkippedRow[];
  readonly warnings: readonly string[];
  /** Rows of each of `labelClasses`. */
  readonly labelClassCounts: readonly number[];
  readonly splits: readonly SplitRecord[];
}

/** States of a job; the machine is drawn in training-job.ts. */
export type JobState = "QUEUED" | "RUNNING" | "PAUSED" | "SUCCEEDED" | "FAILED" | "CANCELLED";

/** How far a job is. */
export interface ProgressRecord {
  readonly epoch: number;
  readonly epochCount: number;
  readonly step: number;
  readonly stepCount: number;
  readonly loss: number;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
  /** Looks at the validation rows so far. */
  readonly evaluationCount?: number | undefined;
  readonly stepsPerSecond: number;
  /** Everything measured on the validation rows at the last look. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  readonly learningRate?: number | undefined;
  readonly gradientNorm?: number | undefined;
  /** Rows, or tokens of texts. */
  readonly itemsPerSecond?: number | undefined;
  readonly remainingMs?: number | undefined;
}

/** How good a model is on rows it was not trained on. */
export type EvaluationRecord = EvaluationReport;

/** One training run. */
export interface JobRecord {
  readonly name: string;
  readonly project: string;
  /** Order of arrival in the service: the queue is by this number. */
  readonly sequence: number;
  readonly dataset: string;
  readonly datasetDigest: string;
  readonly model: string;
  readonly spec: TrainingSpecRecord;
  readonly state: JobState;
  readonly failureReason: string;
  readonly failureMessage: string;
  readonly progress?: ProgressRecord | undefined;
  readonly evaluation?: EvaluationRecord | undefined;
  readonly modelVersion: string;
  /** How often a process was started. */
  readonly attemptCount: number;
  /** How many of them died since the last new checkpoint; a planned stop of the service does not count. */
  readonly lostAttemptCount: number;
  /** A running job was asked to stop. */
  readonly cancelRequested: boolean;
  /** On whose behalf the result is registered. */
  readonly creator: Identity;
  readonly requestId: string;
  /** W3C context of the call that created the job, so that its spans belong to the same trace. */
  readonly traceparent?: string | undefined;
  readonly createTimeMs: number;
  readonly startTimeMs?: number | undefined;
  readonly endTimeMs?: number | undefined;
  /** Higher goes first among the project's own. */
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: JobLimits;
  /** The job whose run this one repeats; "" = none. */
  readonly reproducedJob: string;
  /** The study of which it is a trial; "" = none. */
  readonly tuningStudy: string;
  /** Whether the result becomes a model version; trials and repetitions only report. */
  readonly registers: boolean;
  /** A running job was asked to pause. */
  readonly pauseRequested: boolean;
  /** The newest checkpoint. */
  readonly checkpoint?: CheckpointRecord | undefined;
  readonly runRecord?: RunRecord | undefined;
  readonly costEstimate?: CostEstimate | undefined;
  readonly usage: JobUsage;
}

/** What a job has of which nothing else was said; also what records of older releases lack. */
export const JOB_DEFAULTS = {
  priority: 0,
  labels: {},
  limits: { memoryBytes: 0, cost: 0 },
  reproducedJob: "",
  tuningStudy: "",
  registers: true,
  pauseRequested: false,
  usage: NO_USAGE,
} satisfies Partial<JobRecord>;

/** One entry of a job's log. */
export interface JobEventRecord {
  /** 1, 2, 3 … within the job. */
  readonly offset: number;
  readonly timeMs: number;
  readonly event:
    | { readonly kind: "state"; readonly job: JobRecord }
    | { readonly kind: "progress"; readonly progress: ProgressRecord }
    | { readonly kind: "log"; readonly message: JobMessage }
    | { readonly kind: "checkpoint"; readonly checkpoint: CheckpointRecord };
}
