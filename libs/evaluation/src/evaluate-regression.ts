import { StatusError } from "@servable/errors";
import { bootstrapIntervals, quantileOf, type BootstrapOptions, type RowWeights } from "./bootstrap.ts";
import type { EvaluationDetail } from "./evaluate-classification.ts";
import type { EvaluationReport, MetricValue, Metrics, SliceReport } from "./evaluation-report.ts";
import { slicesOf, type SliceColumn, type SliceOptions } from "./slices.ts";

/** What a model of a number said of rows whose number is known. */
export interface RegressionInput {
  readonly targets: ArrayLike<number>;
  readonly predictions: ArrayLike<number>;
  /** Mean loss as the training defines it. @default the mean squared error */
  readonly loss?: number;
  readonly slices?: readonly SliceColumn[];
  readonly sliceOptions?: SliceOptions;
  readonly bootstrap?: BootstrapOptions;
  /** @default "full" */
  readonly detail?: EvaluationDetail;
}

const QUANTILES = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;
/** Rows kept for a plot. */
const SAMPLE_MAX = 400;
/** A relative error means nothing near 0: rows below this share of the mean magnitude are left out of it. */
const RELATIVE_FLOOR = 1e-3;

/**
 * Judges a regression. `r2` is 1 − (squared error / squared distance from the mean) and left out when the target is
 * constant; `mape` is over the rows whose target is not near 0, and left out when fewer than half are such.
 *
 * @throws StatusError `FIELD_INVALID` naming the row of a number that is not finite
 */
export function evaluateRegression(input: RegressionInput): EvaluationReport {
  const { targets, predictions, detail = "full" } = input;
  check(targets, predictions);
  const errors = errorsOf(targets, predictions);
  const metrics = metricsOf(errors, detail === "full" ? (input.bootstrap ?? {}) : undefined);
  const mean = average(errors.targets, undefined);
  const loss = input.loss ?? (metrics["mse"]?.value ?? 0);
  const sorted = Float64Array.from(errors.residuals).sort();
  const medianTarget = quantileOf(Float64Array.from(errors.targets).sort(), 0.5);
  const stride = Math.max(1, Math.ceil(targets.length / SAMPLE_MAX));
  return {
    kind: "regression",
    rowCount: targets.length,
    loss,
    metrics: {
      ...metrics,
      loss: { value: loss },
      // What always answering the mean, or the median, would reach: a model must beat it.
      baseline_rmse: { value: Math.sqrt(average(errors.targets.map((target) => (target - mean) ** 2), undefined)) },
      baseline_mae: { value: average(errors.targets.map((target) => Math.abs(target - medianTarget)), undefined) },
      median_absolute_error: { value: quantileOf(errors.absolute.toSorted(), 0.5) },
    },
    classes: [],
    classMetrics: [],
    confusionMatrix: [],
    calibration: [],
    curves: [],
    residuals: {
      quantiles: targets.length === 0 ? [] : QUANTILES.map((probability) => ({ probability, value: quantileOf(sorted, probability) })),
      sample: Array.from({ length: Math.ceil(targets.length / stride) }, (_, index) => ({ target: targets[index * stride] ?? 0, prediction: predictions[index * stride] ?? 0 })),
    },
    slices: detail === "full" ? slicesOf(input.slices ?? [], input.sliceOptions).map((slice): SliceReport => {
      const { rows, ...head } = slice;
      const own = errorsOf(Float64Array.from(rows, (row) => targets[row] ?? 0), Float64Array.from(rows, (row) => predictions[row] ?? 0));
      return { column: head.column, value: head.value, tooSmall: head.tooSmall, rowCount: rows.length, metrics: head.tooSmall ? {} : pick(metricsOf(own, input.bootstrap ?? { resampleCount: 100 }), ["mae", "rmse", "r2", "mean_residual"]) };
    }) : [],
  };
}

interface Errors {
  readonly targets: Float64Array;
  readonly residuals: Float64Array;
  readonly absolute: Float64Array;
  /** |residual / target|; NaN near 0. */
  readonly relative: Float64Array;
}

function errorsOf(targets: ArrayLike<number>, predictions: ArrayLike<number>): Errors {
  const own = Float64Array.from(targets);
  const residuals = own.map((target, row) => target - (predictions[row] ?? 0));
  const absolute = residuals.map(Math.abs);
  const floor = RELATIVE_FLOOR * average(own.map(Math.abs), undefined);
  return { targets: own, residuals, absolute, relative: own.map((target, row) => (Math.abs(target) <= floor ? NaN : (absolute[row] ?? 0) / Math.abs(target))) };
}

function metricsOf({ targets, residuals, absolute, relative }: Errors, bootstrap: BootstrapOptions | undefined): Metrics {
  const names = ["mae", "mse", "rmse", "r2", "mape", "mean_residual"];
  const squares = residuals.map((residual) => residual * residual);
  const statistics = (weights: RowWeights): number[] => {
    const mse = average(squares, weights);
    const mean = average(targets, weights);
    let [spread, rows] = [0, 0];
    for (let row = 0; row < targets.length; row++) {
      const weight = weights === undefined ? 1 : (weights[row] ?? 0);
      spread += weight * ((targets[row] ?? 0) - mean) ** 2;
      rows += weight;
    }
    return [average(absolute, weights), mse, Math.sqrt(mse), spread === 0 ? NaN : 1 - (mse * rows) / spread, averageOfKnown(relative, weights), average(residuals, weights)];
  };
  const values = statistics(undefined);
  const intervals = bootstrap === undefined ? [] : bootstrapIntervals(targets.length, statistics, bootstrap);
  const metrics: Record<string, MetricValue> = {};
  names.forEach((name, index) => {
    const value = values[index] ?? NaN;
    const interval = intervals[index];
    if (Number.isFinite(value)) metrics[name] = { value, ...(interval === undefined ? {} : { interval }) };
  });
  return metrics;
}

function average(values: Float64Array, weights: RowWeights): number {
  let [sum, count] = [0, 0];
  for (let row = 0; row < values.length; row++) {
    const weight = weights === undefined ? 1 : (weights[row] ?? 0);
    sum += weight * (values[row] ?? 0);
    count += weight;
  }
  return count === 0 ? 0 : sum / count;
}

function averageOfKnown(values: Float64Array, weights: RowWeights): number {
  let [sum, known, all] = [0, 0, 0];
  for (let row = 0; row < values.length; row++) {
    const weight = weights === undefined ? 1 : (weights[row] ?? 0);
    const value = values[row] ?? NaN;
    all += weight;
    if (Number.isNaN(value)) continue;
    sum += weight * value;
    known += weight;
  }
  return known < all / 2 || known === 0 ? NaN : sum / known;
}

function pick(metrics: Metrics, names: readonly string[]): Metrics {
  return Object.fromEntries(Object.entries(metrics).filter(([name]) => names.includes(name)));
}

function check(targets: ArrayLike<number>, predictions: ArrayLike<number>): void {
  if (targets.length !== predictions.length) throw new StatusError("FIELD_INVALID", `predictions must hold a number for each of ${targets.length} targets, got ${predictions.length}`, { metadata: { field: "predictions" } });
  for (let row = 0; row < targets.length; row++) {
    const [field, value] = Number.isFinite(targets[row]) ? ["predictions", predictions[row]] : ["targets", targets[row]];
    if (!Number.isFinite(value)) throw new StatusError("FIELD_INVALID", `${field}[${row}] is ${value}: it must be a finite number`, { metadata: { field: `${field}[${row}]` } });
  }
}
