import type { EvaluationRecord, ProgressRecord } from "../records.ts";

/** The objective of an ended job; undefined when its evaluation has no such metric. */
export function objectiveOf(evaluation: EvaluationRecord | undefined, metric: string): number | undefined {
  if (evaluation === undefined) return undefined;
  return evaluation.metrics[metric]?.value ?? (metric === "loss" ? evaluation.loss : undefined);
}

/** The objective as a running job last measured it; undefined before its first look at the validation rows. */
export function reportedObjective({ metrics, validationLoss, validationAccuracy }: ProgressRecord, metric: string): number | undefined {
  const measured = metrics?.[metric] ?? metrics?.[`validation_${metric}`] ?? (metric === "loss" ? validationLoss : metric === "accuracy" ? validationAccuracy : undefined);
  // JSON, in which events are kept, has no NaN: the trainer's own guard ends such a job.
  return Number.isFinite(measured) ? measured : undefined;
}
