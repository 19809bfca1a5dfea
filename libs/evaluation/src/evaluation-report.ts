// What is said of a model after it was judged: plain values that survive JSON, so that a process may send them, a database
// keep them and a page draw them. Everything beyond the row count is optional in spirit: a list is empty where it has no
// meaning for the kind of model.

/** A range that holds the true value with probability `level`. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /** 0.95 means 95 %. */
  readonly level: number;
}

/** One number with its uncertainty. */
export interface MetricValue {
  readonly value: number;
  /** Absent where none was asked for, or the metric is not a sample's mean (a maximum, a count). */
  readonly interval?: Interval | undefined;
}

/** Metrics by name: "accuracy", "f1_macro", "rmse", …; the README lists them. */
export type Metrics = Readonly<Record<string, MetricValue>>;

/** Quality for one class. */
export interface ClassMetrics {
  readonly class: string;
  /** Of the rows said to be this class, the share that is; 0 when none was. */
  readonly precision: number;
  /** Of the rows of this class, the share that was found; 0 when there are none. */
  readonly recall: number;
  readonly f1: number;
  /** Rows of this class. */
  readonly rowCount: number;
  /** Area under the ROC curve, this class against the rest; absent when one side is empty. */
  readonly auc?: number | undefined;
}

/** The rows that share a value of a column, judged by themselves. */
export interface SliceReport {
  readonly column: string;
  /** A value, or a range such as "[20, 35)". */
  readonly value: string;
  readonly rowCount: number;
  /** Too few rows to say anything: `metrics` is empty then. */
  readonly tooSmall: boolean;
  readonly metrics: Metrics;
}

/** Rows whose predicted confidence lies in a range. */
export interface CalibrationBin {
  readonly low: number;
  readonly high: number;
  readonly rowCount: number;
  /** Mean confidence in the bin; 0 when empty. */
  readonly confidence: number;
  /** Share that was right in the bin; 0 when empty. */
  readonly accuracy: number;
}

/** What happens as the threshold falls. ROC: x = false positive rate, y = true positive rate. Precision-recall: x = recall, y = precision. */
export interface ThresholdCurve {
  readonly kind: "roc" | "precision_recall";
  /** The class that counts as positive. */
  readonly class: string;
  /** Area under it; of precision-recall, the average precision. */
  readonly area: number;
  readonly points: readonly CurvePoint[];
}

/** A point of a threshold curve. */
export interface CurvePoint {
  /** Scores from here on count as positive; above every score at the curve's beginning. */
  readonly threshold: number;
  readonly x: number;
  readonly y: number;
}

/** How predictions miss; a residual is target minus prediction. */
export interface ResidualReport {
  /** Quantile → residual, ascending: 0, 0.05, 0.25, 0.5, 0.75, 0.95, 1. */
  readonly quantiles: readonly { readonly probability: number; readonly value: number }[];
  /** A sample of rows for a plot, in row order. */
  readonly sample: readonly { readonly target: number; readonly prediction: number }[];
}

/** How good a model is on rows that it was not trained on. */
export interface EvaluationReport {
  readonly kind: "classification" | "regression" | "language_model";
  readonly rowCount: number;
  /** Mean loss. */
  readonly loss: number;
  /** Every scalar metric; `loss` is among them. */
  readonly metrics: Metrics;
  /** Classification only: the share of rows whose most probable class is the true one. */
  readonly accuracy?: number | undefined;
  /** Classification only: accuracy of always answering the most frequent class, which a model must beat. */
  readonly baselineAccuracy?: number | undefined;
  /** Two classes only. */
  readonly auc?: number | undefined;
  readonly classes: readonly string[];
  readonly classMetrics: readonly ClassMetrics[];
  /** True class × predicted class, row-major. */
  readonly confusionMatrix: readonly number[];
  readonly calibration: readonly CalibrationBin[];
  readonly curves: readonly ThresholdCurve[];
  readonly residuals?: ResidualReport | undefined;
  readonly slices: readonly SliceReport[];
}
