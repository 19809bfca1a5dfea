import type { EvaluationReport } from "../evaluation-report.ts";

/** A point of a learning curve. */
export interface LearningPoint {
  readonly step: number;
  readonly loss?: number | undefined;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
}

/** Everything that a report or a model card says; what is not known is left out. */
export interface ReportInput {
  /** The model's name for people, e.g. "projects/default/models/churn". */
  readonly title: string;
  /** What the model is for, in its owner's words. */
  readonly intendedUse?: string | undefined;
  readonly evaluation: EvaluationReport;
  readonly history?: readonly LearningPoint[] | undefined;
  /** What it learned from: label → value, e.g. "digest" → "sha256:…". */
  readonly data?: Readonly<Record<string, string>> | undefined;
  /** How it was made: label → value, e.g. "seed" → "7". */
  readonly run?: Readonly<Record<string, string>> | undefined;
  /** Sentences on what the numbers do not say, beside those that follow from the evaluation. */
  readonly limits?: readonly string[] | undefined;
}
