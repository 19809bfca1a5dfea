// What fine-tuning keeps, as plain values.

import type { Identity } from "@servable/auth";

/** A stored file. */
export interface FileRecord {
  /** "file-…". */
  readonly id: string;
  readonly project: string;
  readonly filename: string;
  readonly purpose: string;
  readonly sizeBytes: number;
  /** 64 hexadecimal digits: the blob's name. */
  readonly sha256: string;
  readonly createTimeMs: number;
  /** Undefined = stays. */
  readonly expireTimeMs?: number | undefined;
}

/** What a base model is fine-tuned as. */
export type TuningFamily = "text_classifier" | "causal_lm";

/** How far a job is by itself; while it trains, its training job says more. */
export type TuningPhase = "validating" | "training" | "publishing" | "succeeded" | "failed" | "cancelled";

/** Numbers that the caller may choose; undefined = "auto". */
export interface TuningHyperparameters {
  readonly batchSize?: number | undefined;
  readonly learningRateMultiplier?: number | undefined;
  readonly epochCount?: number | undefined;
}

/** A fine-tuning job. */
export interface TuningRecord {
  /** "ftjob-…". */
  readonly id: string;
  readonly project: string;
  /** As the caller named it. */
  readonly model: string;
  /** Resource name of the base version. */
  readonly baseVersion: string;
  readonly family: TuningFamily;
  /** Tokens that the base model reads, where it says so. */
  readonly positions?: number | undefined;
  readonly trainingFile: string;
  /** "" = none. */
  readonly validationFile: string;
  readonly suffix: string;
  readonly seed: number;
  /** Chosen ones are filled in when the files were read. */
  readonly hyperparameters: TuningHyperparameters;
  readonly metadata: Readonly<Record<string, string>>;
  readonly phase: TuningPhase;
  /** Resource name; "" before the files were read. */
  readonly trainingJob: string;
  /** "ft:…"; "" before it can be called. */
  readonly fineTunedModel: string;
  readonly resultFiles: readonly string[];
  readonly trainedTokenCount?: number | undefined;
  readonly failure?: { readonly reason: string; readonly message: string; readonly field: string } | undefined;
  readonly creator: Identity;
  readonly createTimeMs: number;
  readonly validateTimeMs?: number | undefined;
  readonly endTimeMs?: number | undefined;
}

/** A page by age: records after the one with this id, at most `limit`. */
export interface TuningPage {
  readonly after: string;
  readonly limit: number;
  readonly ascending?: boolean;
}

/** What fine-tuning stores. */
export interface FineTuningStore {
  readonly files: {
    /** Replaces one of the same id. */
    put(file: FileRecord): Promise<void>;
    get(project: string, id: string): Promise<FileRecord | undefined>;
    /** Those that have not expired at `nowMs`. @throws StatusError `FILE_NOT_FOUND` when `after` is unknown */
    list(project: string, purpose: string, nowMs: number, page: TuningPage): Promise<FileRecord[]>;
    delete(project: string, id: string): Promise<void>;
    /** Whether a file has these bytes. */
    refersTo(sha256: string): Promise<boolean>;
    /** Files that expired. */
    expired(nowMs: number): Promise<FileRecord[]>;
  };
  readonly jobs: {
    insert(job: TuningRecord): Promise<void>;
    get(project: string, id: string): Promise<TuningRecord | undefined>;
    /** Changes a job under its lock; the same record back changes nothing. Undefined when there is none. */
    change(id: string, transition: (job: TuningRecord) => TuningRecord): Promise<TuningRecord | undefined>;
    /** Newest first. @throws StatusError `FINE_TUNING_JOB_NOT_FOUND` when `after` is unknown */
    list(project: string, page: TuningPage): Promise<TuningRecord[]>;
    /** Jobs of all projects that have not ended. */
    unfinished(): Promise<TuningRecord[]>;
  };
}

/** Whether nothing more will happen to a job. */
export function tuningEnded({ phase }: Pick<TuningRecord, "phase">): boolean {
  return phase === "succeeded" || phase === "failed" || phase === "cancelled";
}
