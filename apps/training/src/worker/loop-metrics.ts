import type { EvaluationRecord } from "../domain/records.ts";

/** Numbers of a report by the names that progress, early stopping and studies use: those of the report, and "validation_loss". */
export function metricsOf(report: EvaluationRecord): Record<string, number> {
  const metrics: Record<string, number> = { validation_loss: report.loss };
  for (const [name, { value }] of Object.entries(report.metrics)) if (Number.isFinite(value)) metrics[name] = value;
  if (report.accuracy !== undefined) metrics["accuracy"] ??= report.accuracy;
  if (report.auc !== undefined) metrics["auc"] ??= report.auc;
  return metrics;
}
