// What page and card say in the same words.

import type { EvaluationReport, MetricValue } from "../evaluation-report.ts";

/** Rows below which intervals are so wide that a reader should be told. */
const ROWS_FEW = 200;
const GAP_LARGE = 0.1;

/** A number short enough for a table. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : String(Number(value.toFixed(size >= 100 ? 2 : 4)));
}

/** "0.82 (95 %: 0.79 to 0.85)". */
export function metricText({ value, interval }: MetricValue): string {
  return interval === undefined ? numberText(value) : `${numberText(value)} (${Math.round(interval.level * 100)} %: ${numberText(interval.low)} to ${numberText(interval.high)})`;
}

/** What a reader should know before trusting the numbers; it follows from them. */
export function limitsOf(evaluation: EvaluationReport): string[] {
  const { rowCount, kind, classMetrics, slices, accuracy = 0, baselineAccuracy = 0, metrics } = evaluation;
  const limits: string[] = [];
  if (rowCount < ROWS_FEW) limits.push(`Only ${rowCount} ${kind === "language_model" ? "texts" : "rows"} were evaluated: the intervals are wide.`);
  if (kind === "classification" && accuracy <= baselineAccuracy) limits.push(`Accuracy (${numberText(accuracy)}) is no better than always answering the most frequent class (${numberText(baselineAccuracy)}).`);
  const never = classMetrics.filter(({ recall, rowCount: rows }) => rows > 0 && recall === 0).map((own) => own.class);
  if (never.length > 0) limits.push(`Never recognised: ${never.slice(0, 10).join(", ")}${never.length > 10 ? ` and ${never.length - 10} more` : ""}.`);
  const calibration = metrics["expected_calibration_error"]?.value ?? 0;
  if (calibration > GAP_LARGE) limits.push(`Probabilities are off by ${numberText(calibration)} on average (expected calibration error): do not read them as chances.`);
  if (metrics["r2"] !== undefined && metrics["r2"].value <= 0) limits.push("Predictions are no better than always answering the mean (r² ≤ 0).");
  for (const slice of slices) {
    const own = slice.metrics["accuracy"];
    if (own?.interval !== undefined && own.interval.high < accuracy) limits.push(`Clearly worse where ${slice.column} is ${slice.value}: accuracy ${metricText(own)} on ${slice.rowCount} rows.`);
  }
  const small = slices.filter(({ tooSmall }) => tooSmall).length;
  if (small > 0) limits.push(`${small} slice${small === 1 ? " has" : "s have"} too few rows to be judged.`);
  limits.push("Measured on rows like those of the data set; other data may give other numbers.");
  return limits;
}
