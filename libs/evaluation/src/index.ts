export { bootstrapIntervals, quantileOf, type BootstrapOptions, type RowWeights, type Statistics } from "./bootstrap.ts";
export { evaluateClassification, type ClassificationInput, type EvaluationDetail } from "./evaluate-classification.ts";
export { evaluateLanguageModel, type LanguageModelInput, type TextScore } from "./evaluate-language-model.ts";
export { evaluateRegression, type RegressionInput } from "./evaluate-regression.ts";
export type {
  CalibrationBin,
  ClassMetrics,
  CurvePoint,
  EvaluationReport,
  Interval,
  MetricValue,
  Metrics,
  ResidualReport,
  SliceReport,
  ThresholdCurve,
} from "./evaluation-report.ts";
export { proportionInterval } from "./proportion-interval.ts";
export { type Slice, type SliceColumn, type SliceOptions } from "./slices.ts";
export { renderModelCard } from "./report/render-model-card.ts";
export { renderReport } from "./report/render-report.ts";
export { type LearningPoint, type ReportInput } from "./report/report-input.ts";
export { html, type Html } from "./report/html.ts";
export { plot, type Plot, type Point, type Series } from "./report/plot.ts";
export { REPORT_STYLE } from "./report/report-style.ts";
