// What the service keeps of studies and their trials, as plain values.

import type { Identity } from "@servable/auth";
import type { Assignment, Direction, IntermediateValue, Parameter } from "@servable/tuning";
import type { CrossValidationRecord } from "../training-spec-record.ts";
import type { TrainingSpecDraft } from "../training-spec.ts";

/** States of a study; the machine is drawn in tuning_study.proto. */
export type StudyState = "RUNNING" | "PAUSED" | "FINISHING" | "SUCCEEDED" | "FAILED" | "CANCELLED";

/** States of a trial: RUNNING, then one of the others for good. */
export type TrialRecordState = "RUNNING" | "COMPLETE" | "PRUNED" | "FAILED" | "CANCELLED";

/** How the next settings are chosen. */
export interface SamplerRecord {
  readonly algorithm: "random" | "grid" | "sobol" | "tpe";
  readonly startupTrialCount: number;
  readonly gridPointCount: number;
}

/** When a trial is given up. */
export interface PrunerRecord {
  readonly algorithm: "median" | "percentile" | "asha" | "hyperband" | "threshold";
  readonly startupTrialCount: number;
  readonly warmupStepCount: number;
  readonly percentile: number;
  readonly minResource: number;
  readonly maxResource: number;
  readonly reductionFactor: number;
  readonly lower?: number | undefined;
  readonly upper?: number | undefined;
}

/** What one job of a trial may use; undefined = the service's bounds. */
export interface TrialLimitsRecord {
  readonly runMs?: number | undefined;
  readonly memoryBytes: number;
  readonly cost: number;
}

/** One try. */
export interface TrialRecord {
  readonly number: number;
  readonly state: TrialRecordState;
  /** Settings by the path of their field. */
  readonly values: Assignment;
  readonly objective?: number | undefined;
  readonly reports: readonly IntermediateValue[];
  readonly foldObjectives: readonly number[];
  /** One for each fold begun; without cross-validation one. */
  readonly jobs: readonly string[];
  /** The last event of the newest job that was looked at. */
  readonly seenOffset: number;
  /** When the newest job last said something. */
  readonly heardMs: number;
  /** Whether nothing is left to be done: an ended trial whose job still runs is not. */
  readonly settled: boolean;
  readonly failureReason: string;
  readonly failureMessage: string;
  readonly createTimeMs: number;
  readonly endTimeMs?: number | undefined;
}

/** One study. */
export interface StudyRecord {
  readonly name: string;
  readonly project: string;
  readonly sequence: number;
  readonly dataset: string;
  readonly datasetDigest: string;
  readonly model: string;
  /** What all trials share, as the caller wrote it. */
  readonly spec: TrainingSpecDraft;
  /** The same as the message's JSON, to be answered as it came. */
  readonly specJson: string;
  readonly parameters: readonly Parameter[];
  readonly metric: string;
  readonly direction: Direction;
  readonly sampler: SamplerRecord;
  readonly pruner: PrunerRecord | undefined;
  readonly maxTrialCount: number;
  readonly parallelTrialCount: number;
  readonly crossValidation: CrossValidationRecord | undefined;
  readonly seed: number;
  readonly finalModel: "best" | "all_rows" | "none";
  readonly timeBudgetMs: number | undefined;
  readonly trialLimits: TrialLimitsRecord | undefined;
  readonly trialSilenceMs: number;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: StudyState;
  readonly failureReason: string;
  readonly failureMessage: string;
  readonly counts: Readonly<Record<TrialRecordState, number>>;
  readonly bestTrial?: TrialRecord | undefined;
  readonly importances: readonly { readonly parameter: string; readonly importance: number }[];
  readonly finalJob: string;
  readonly modelVersion: string;
  readonly creator: Identity;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
  readonly createTimeMs: number;
  readonly endTimeMs?: number | undefined;
}

/** One entry of a study's log. */
export interface StudyEventRecord {
  readonly offset: number;
  readonly timeMs: number;
  readonly event: { readonly kind: "study"; readonly study: StudyRecord } | { readonly kind: "trial"; readonly trial: TrialRecord };
}

const NEXT: Readonly<Record<StudyState, readonly StudyState[]>> = {
  RUNNING: ["PAUSED", "FINISHING", "SUCCEEDED", "FAILED", "CANCELLED"],
  PAUSED: ["RUNNING", "CANCELLED"],
  FINISHING: ["SUCCEEDED", "FAILED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

/** Whether a study may go from one state to another. */
export function mayBecome(from: StudyState, to: StudyState): boolean {
  return NEXT[from].includes(to);
}

/** Whether a study has ended. */
export function studyHasEnded({ state }: Pick<StudyRecord, "state">): boolean {
  return NEXT[state].length === 0;
}
