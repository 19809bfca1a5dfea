import { EvaluationReport_Kind, type EvaluationReport, type EvaluationSlice, type Metric } from "@servable/contracts/training/v1/evaluation";
import { renderTable } from "./table.ts";

const CLASSES_SHOWN_MAX = 20;
const SLICES_SHOWN_MAX = 20;
/** What a person asks first, by kind; the report has the others. */
const HEADLINES: Readonly<Record<EvaluationReport_Kind, readonly string[]>> = {
  [EvaluationReport_Kind.UNSPECIFIED]: [],
  [EvaluationReport_Kind.CLASSIFICATION]: ["f1_macro", "balanced_accuracy", "auc", "auc_macro", "log_loss", "expected_calibration_error"],
  [EvaluationReport_Kind.REGRESSION]: ["mae", "rmse", "r2", "mape", "baseline_rmse"],
  [EvaluationReport_Kind.LANGUAGE_MODEL]: ["perplexity", "token_accuracy", "bits_per_byte"],
};

/** How good a model is: what it reached beside what it must beat, with intervals; quality by class, confusion matrix, slices. */
export function renderEvaluation(report: EvaluationReport): string {
  const lines = [...headOf(report)];
  for (const name of HEADLINES[report.kind]) {
    const metric = report.metrics[name];
    if (metric !== undefined) lines.push(`${name} ${withInterval(metric)}`);
  }
  if (report.classMetrics.length > 0) lines.push("", ...classTable(report));
  if (report.slices.length > 0) lines.push("", ...sliceTable(report.slices));
  return lines.join("\n");
}

function headOf(report: EvaluationReport): string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  if (report.kind === EvaluationReport_Kind.REGRESSION || report.kind === EvaluationReport_Kind.LANGUAGE_MODEL) {
    return [`loss ${report.loss.toFixed(4)} on ${report.rowCount} validation ${report.kind === EvaluationReport_Kind.REGRESSION ? "rows" : "texts"}`];
  }
  const interval = report.metrics["accuracy"]?.interval;
  return [
    `accuracy ${percent(report.accuracy)}${interval === undefined ? "" : ` (${percent(interval.low)} to ${percent(interval.high)})`} on ${report.rowCount} validation rows (always the most frequent class: ${percent(report.baselineAccuracy)})`,
    `loss ${report.loss.toFixed(4)}${report.auc === undefined ? "" : `, area under ROC ${report.auc.toFixed(4)}`}`,
  ];
}

function withInterval({ value, interval }: Metric): string {
  return `${value.toFixed(4)}${interval === undefined ? "" : ` (${interval.low.toFixed(4)} to ${interval.high.toFixed(4)})`}`;
}

function classTable(report: EvaluationReport): string[] {
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
  return [table, ...(size > shown.length ? [`… ${size - shown.length} more classes`] : [])];
}

function sliceTable(slices: readonly EvaluationSlice[]): string[] {
  const shown = slices.slice(0, SLICES_SHOWN_MAX);
  const table = renderTable(
    ["slice", "rows", "metrics"],
    shown.map(({ column, value, rowCount, tooSmall, metrics }) => [`${column} = ${value}`, rowCount, tooSmall ? "too few rows" : Object.entries(metrics).map(([name, { value: number }]) => `${name} ${number.toFixed(3)}`).join("  ")]),
  );
  return [table, ...(slices.length > shown.length ? [`… ${slices.length - shown.length} more slices`] : [])];
}
