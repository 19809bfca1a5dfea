import { StatusError } from "@servable/errors";
import { bootstrapIntervals, type BootstrapOptions, type RowWeights } from "./bootstrap.ts";
import { classMetricsOf, confusionMatrix, DECISION_METRICS, decisionScores } from "./confusion.ts";
import type { EvaluationReport, MetricValue, Metrics, SliceReport, ThresholdCurve } from "./evaluation-report.ts";
import { brierScores, calibrationBins, calibrationErrors, logLosses } from "./probability-scores.ts";
import { proportionInterval } from "./proportion-interval.ts";
import { precisionRecallPoints, rankedRows, rankingScores, rocPoints, type Ranking } from "./ranking.ts";
import { slicesOf, type SliceColumn, type SliceOptions } from "./slices.ts";

/** How much is said: `summary` is what each epoch of a training may afford, `full` adds intervals, curves and slices. */
export type EvaluationDetail = "summary" | "full";

/** What a classifier said of rows whose class is known. */
export interface ClassificationInput {
  readonly classes: readonly string[];
  /** Index of the true class of each row. */
  readonly targets: ArrayLike<number>;
  /** Probabilities [rows, classes], row-major; of two classes also [rows]: those of the second class. */
  readonly probabilities: ArrayLike<number>;
  /** Mean loss as the training defines it (label smoothing and all). @default the log loss */
  readonly loss?: number;
  readonly slices?: readonly SliceColumn[];
  readonly sliceOptions?: SliceOptions;
  /** Also reports "top_k_accuracy_<k>" for each. @default [5] with more than ten classes, else none */
  readonly topK?: readonly number[];
  readonly bootstrap?: BootstrapOptions;
  /** @default "full" */
  readonly detail?: EvaluationDetail;
}

/** Classes that get curves of their own, most frequent first. */
const CURVE_CLASSES_MAX = 10;

/**
 * Judges a classifier. Of two classes the second is the positive one. Ranking metrics are left out where all rows are of
 * one class.
 *
 * @throws StatusError `FIELD_INVALID` naming the row of a target that is no class or a probability that is no number
 */
export function evaluateClassification(input: ClassificationInput): EvaluationReport {
  const { classes, targets, detail = "full" } = input;
  const table = tableOf(input);
  const { probabilities } = table;
  const size = classes.length;
  const predicted = predictedClasses(probabilities, size, targets.length);
  const losses = logLosses(table);
  const confidences = Float64Array.from(predicted, (guess, row) => probabilities[row * size + guess] ?? 0);
  const bins = size === 2 ? calibrationBins(Float64Array.from(targets, (_, row) => probabilities[row * 2 + 1] ?? 0), targets) : calibrationBins(confidences, Uint8Array.from(predicted, (guess, row) => (guess === targets[row] ? 1 : 0)));
  const rankings = classes.map((_, index) => (size === 2 && index === 0 ? undefined : rankingOf(targets, probabilities, size, index)));
  const classMetrics = classMetricsOf(confusionMatrix(targets, predicted, size), classes).map((metrics, index) => {
    const auc = rankings[index] === undefined ? NaN : rankingScores(rankings[index]).auc;
    return Number.isNaN(auc) ? metrics : { ...metrics, auc };
  });
  const counts = classMetrics.map(({ rowCount }) => rowCount);
  const metrics = metricsOf({ targets, predicted, losses, briers: brierScores(table), rankings, classCount: size, bootstrap: detail === "full" ? (input.bootstrap ?? {}) : undefined });
  const errors = calibrationErrors(bins);
  const loss = input.loss ?? metrics["log_loss"]?.value ?? 0;
  const all: Metrics = {
    ...metrics,
    loss: { value: loss },
    baseline_accuracy: { value: Math.max(0, ...counts) / Math.max(1, targets.length) },
    expected_calibration_error: { value: errors.expected },
    maximal_calibration_error: { value: errors.maximal },
    ...topAccuracies(input.topK ?? (size > 10 ? [5] : []), targets, probabilities, size),
  };
  return {
    kind: "classification",
    rowCount: targets.length,
    loss,
    metrics: all,
    accuracy: all["accuracy"]?.value ?? 0,
    baselineAccuracy: all["baseline_accuracy"]?.value ?? 0,
    ...(size === 2 && all["auc"] !== undefined ? { auc: all["auc"].value } : {}),
    classes: [...classes],
    classMetrics,
    confusionMatrix: [...confusionMatrix(targets, predicted, size)],
    calibration: bins,
    curves: detail === "full" ? curvesOf(classes, counts, rankings) : [],
    slices: detail === "full" ? slicesOf(input.slices ?? [], input.sliceOptions).map((slice) => sliceReport(slice, { targets, predicted, losses, probabilities, size })) : [],
  };
}

interface Judged {
  readonly targets: ArrayLike<number>;
  readonly predicted: Uint32Array;
  readonly losses: Float64Array;
}

interface MetricsInput extends Judged {
  readonly briers: Float64Array;
  readonly rankings: readonly (Ranking | undefined)[];
  readonly classCount: number;
  /** Undefined = no intervals. */
  readonly bootstrap: BootstrapOptions | undefined;
}

function metricsOf({ targets, predicted, losses, briers, rankings, classCount, bootstrap }: MetricsInput): Metrics {
  const binary = classCount === 2;
  const positive = binary ? rankings[1] : undefined;
  const names = [...DECISION_METRICS, "log_loss", "brier", ...(binary ? ["precision", "recall", "f1", "auc", "average_precision"] : [])];
  const statistics = (weights: RowWeights): number[] => {
    const matrix = confusionMatrix(targets, predicted, classCount, weights);
    const values = [...decisionScores(matrix, classCount), meanOf(losses, weights), meanOf(briers, weights)];
    if (positive === undefined) return values;
    const [own] = classMetricsOf(matrix, ["", ""]).slice(1);
    const { auc, averagePrecision } = rankingScores(positive, weights);
    return [...values, own?.precision ?? 0, own?.recall ?? 0, own?.f1 ?? 0, auc, averagePrecision];
  };
  const values = statistics(undefined);
  const intervals = bootstrap === undefined ? [] : bootstrapIntervals(targets.length, statistics, bootstrap);
  const metrics: Record<string, MetricValue> = {};
  names.forEach((name, index) => {
    const value = values[index] ?? NaN;
    if (!Number.isFinite(value)) return;
    // Shares have a better interval than the bootstrap's, which has no width at 0 and 1.
    const share = name === "accuracy" || name === "f1_micro" || name === "recall_weighted";
    const interval = bootstrap !== undefined && share ? proportionInterval(Math.round(value * targets.length), targets.length, bootstrap.level) : intervals[index];
    metrics[name] = { value, ...(interval === undefined ? {} : { interval }) };
  });
  if (!binary) Object.assign(metrics, oneAgainstRest(rankings));
  return metrics;
}

/** Means over the classes that occur and are not alone. Without intervals: a resample costs a sort's worth for each class. */
function oneAgainstRest(rankings: readonly (Ranking | undefined)[]): Metrics {
  const scores = rankings.flatMap((ranking) => (ranking === undefined ? [] : [rankingScores(ranking)])).filter(({ auc }) => !Number.isNaN(auc));
  if (scores.length === 0) return {};
  return {
    auc_macro: { value: scores.reduce((sum, { auc }) => sum + auc, 0) / scores.length },
    average_precision_macro: { value: scores.reduce((sum, { averagePrecision }) => sum + averagePrecision, 0) / scores.length },
  };
}

function topAccuracies(topK: readonly number[], targets: ArrayLike<number>, probabilities: ArrayLike<number>, size: number): Metrics {
  return Object.fromEntries(
    topK.map((k): [string, MetricValue] => {
      let hits = 0;
      for (let row = 0; row < targets.length; row++) {
        const target = targets[row] ?? 0;
        const own = probabilities[row * size + target] ?? 0;
        let above = 0;
        for (let index = 0; index < size; index++) {
          const other = probabilities[row * size + index] ?? 0;
          // Ties go to the first class, as in the choice of the most probable one: a constant answer earns nothing.
          if (other > own || (other === own && index < target)) above++;
        }
        if (above < k) hits++;
      }
      const interval = proportionInterval(hits, targets.length);
      return [`top_k_accuracy_${k}`, { value: hits / Math.max(1, targets.length), ...(interval === undefined ? {} : { interval }) }];
    }),
  );
}

function curvesOf(classes: readonly string[], counts: readonly number[], rankings: readonly (Ranking | undefined)[]): ThresholdCurve[] {
  const frequent = [...classes.keys()].filter((index) => rankings[index] !== undefined).sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b).slice(0, CURVE_CLASSES_MAX);
  return frequent.flatMap((index): ThresholdCurve[] => {
    const ranking = rankings[index];
    const name = classes[index] ?? "";
    const points = ranking === undefined ? [] : rocPoints(ranking);
    if (ranking === undefined || points.length === 0) return [];
    const { auc, averagePrecision } = rankingScores(ranking);
    return [
      { kind: "roc", class: name, area: auc, points },
      { kind: "precision_recall", class: name, area: averagePrecision, points: precisionRecallPoints(ranking) },
    ];
  });
}

function sliceReport({ column, value, rows, tooSmall }: ReturnType<typeof slicesOf>[number], { targets, predicted, losses, probabilities, size }: Judged & { readonly probabilities: ArrayLike<number>; readonly size: number }): SliceReport {
  const head = { column, value, rowCount: rows.length, tooSmall };
  if (tooSmall) return { ...head, metrics: {} };
  const own = Uint32Array.from(rows, (row) => targets[row] ?? 0);
  const matrix = confusionMatrix(own, Uint32Array.from(rows, (row) => predicted[row] ?? 0), size);
  const scores = decisionScores(matrix, size);
  const accuracy = scores[0] ?? 0;
  const interval = proportionInterval(Math.round(accuracy * rows.length), rows.length);
  const ranked = size === 2 ? rankingScores(rankingOf(own, Float64Array.from(rows, (row) => probabilities[row * 2 + 1] ?? 0), 1, 0, 1)) : undefined;
  return {
    ...head,
    metrics: {
      accuracy: { value: accuracy, ...(interval === undefined ? {} : { interval }) },
      f1_macro: { value: scores[DECISION_METRICS.indexOf("f1_macro")] ?? 0 },
      log_loss: { value: rows.reduce((sum, row) => sum + (losses[row] ?? 0), 0) / rows.length },
      ...(ranked === undefined || Number.isNaN(ranked.auc) ? {} : { auc: { value: ranked.auc } }),
    },
  };
}

/** The ranking of rows by one column of the table, rows of class `positive` above the others. */
function rankingOf(targets: ArrayLike<number>, probabilities: ArrayLike<number>, width: number, column: number, positive = column): Ranking {
  const scores = Float64Array.from({ length: targets.length }, (_, row) => probabilities[row * width + column] ?? 0);
  return { scores, order: rankedRows(scores), isPositive: (row) => targets[row] === positive };
}

function predictedClasses(probabilities: ArrayLike<number>, size: number, rowCount: number): Uint32Array {
  return Uint32Array.from({ length: rowCount }, (_, row) => {
    let best = 0;
    for (let index = 1; index < size; index++) if ((probabilities[row * size + index] ?? 0) > (probabilities[row * size + best] ?? 0)) best = index;
    return best;
  });
}

function meanOf(values: Float64Array, weights: RowWeights): number {
  let [sum, count] = [0, 0];
  for (let row = 0; row < values.length; row++) {
    const weight = weights === undefined ? 1 : (weights[row] ?? 0);
    sum += weight * (values[row] ?? 0);
    count += weight;
  }
  return count === 0 ? 0 : sum / count;
}

function tableOf({ classes, targets, probabilities }: ClassificationInput): { targets: ArrayLike<number>; probabilities: ArrayLike<number>; classCount: number } {
  const size = classes.length;
  const rows = targets.length;
  if (size < 2) throw new StatusError("FIELD_INVALID", `classes must name at least two classes, got ${size}`, { metadata: { field: "classes" } });
  const single = size === 2 && probabilities.length === rows;
  if (!single && probabilities.length !== rows * size) throw new StatusError("FIELD_INVALID", `probabilities must hold ${rows} rows of ${size} classes, got ${probabilities.length} numbers`, { metadata: { field: "probabilities" } });
  const width = single ? 1 : size;
  for (let row = 0; row < rows; row++) {
    const target = targets[row] ?? -1;
    if (!Number.isInteger(target) || target < 0 || target >= size) throw new StatusError("FIELD_INVALID", `targets[${row}] is ${target}: it must be the index of one of ${size} classes`, { metadata: { field: `targets[${row}]` } });
    for (let index = 0; index < width; index++) {
      const value = probabilities[row * width + index] ?? NaN;
      if (!(value >= 0 && value <= 1.001)) throw new StatusError("FIELD_INVALID", `probabilities of row ${row} hold ${value}: they must lie between 0 and 1`, { metadata: { field: `probabilities[${row}]` } });
    }
  }
  if (!single) return { targets, probabilities, classCount: size };
  const pairs = new Float64Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    pairs[2 * row] = 1 - (probabilities[row] ?? 0);
    pairs[2 * row + 1] = probabilities[row] ?? 0;
  }
  return { targets, probabilities: pairs, classCount: 2 };
}
