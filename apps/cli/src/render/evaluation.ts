import type { EvaluationReport } from "@servable/contracts/training/v1/training_job";
import { renderTable } from "./table.ts";

const CLASSES_SHOWN_MAX = 20;

/** How good a model is: accuracy beside what it must beat, quality by class, confusion matrix. */
export function renderEvaluation(report: EvaluationReport): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const head = [
    `accuracy ${percent(report.accuracy)} on ${report.rowCount} validation rows (always the most frequent class: ${percent(report.baselineAccuracy)})`,
    `loss ${report.loss.toFixed(4)}${report.auc === undefined ? "" : `, area under ROC ${report.auc.toFixed(4)}`}`,
  ];
  const shown = report.classMetrics.slice(0, CLASSES_SHOWN_MAX);
  const size = report.classes.length;
  const table = renderTable(
    ["class", "rows", "precision", "recall", "f1", ...(size <= CLASSES_SHOWN_MAX ? report.classes.map((name) => `→ ${name}`) : [])],
    shown.map((metrics, row) => [
      metrics.class,
      metrics.rowCount,
      metrics.precision.toFixed(3),
      metrics.recall.toFixed(3),
      metrics.f1.toFixed(3),
      ...(size <= CLASSES_SHOWN_MAX ? report.confusionMatrix.slice(row * size, (row + 1) * size) : []),
    ]),
  );
  return [...head, "", table, ...(size > shown.length ? [`… ${size - shown.length} more classes`] : [])].join("\n");
}
