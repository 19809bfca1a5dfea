// Metrics of scores against a yes or no: how well the positive rows stand above the negative ones, whatever the threshold.

import type { RowWeights } from "./bootstrap.ts";
import type { CurvePoint } from "./evaluation-report.ts";

/** Points that a stored curve keeps. */
const CURVE_POINTS_MAX = 64;

/** Rows in falling order of their score; computed once, used for every resample. */
export function rankedRows(scores: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: scores.length }, (_, row) => row).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
}

/** Scores with the rows that count as positive, ranked. */
export interface Ranking {
  readonly scores: ArrayLike<number>;
  /** Falling order of score. */
  readonly order: Uint32Array;
  readonly isPositive: (row: number) => boolean;
}

/** Area under the ROC curve and average precision; both NaN when one side is empty. */
export interface RankingScores {
  readonly auc: number;
  readonly averagePrecision: number;
}

/**
 * Area under ROC (ties count half) and average precision (the sum of precision × growth of recall, no interpolation).
 *
 * Source: Fawcett 2006, algorithm 2 (trapezia over tied scores), and scikit-learn's average_precision_score.
 */
export function rankingScores({ scores, order, isPositive }: Ranking, weights?: RowWeights): RankingScores {
  let [area, averagePrecision, truePositives, falsePositives] = [0, 0, 0, 0];
  // The same groups as in steps(), without an object for each: this runs for every resample.
  for (let start = 0; start < order.length; ) {
    const score = scores[order[start] ?? 0];
    let [positives, negatives] = [0, 0];
    let end = start;
    for (; end < order.length && scores[order[end] ?? 0] === score; end++) {
      const row = order[end] ?? 0;
      const weight = weights === undefined ? 1 : (weights[row] ?? 0);
      if (isPositive(row)) positives += weight;
      else negatives += weight;
    }
    area += negatives * (truePositives + positives / 2);
    truePositives += positives;
    falsePositives += negatives;
    if (positives > 0) averagePrecision += positives * (truePositives / (truePositives + falsePositives));
    start = end;
  }
  if (truePositives === 0 || falsePositives === 0) return { auc: NaN, averagePrecision: NaN };
  return { auc: area / (truePositives * falsePositives), averagePrecision: averagePrecision / truePositives };
}

/** The ROC curve from (0, 0) to (1, 1); at most 64 points, evenly taken. */
export function rocPoints(ranking: Ranking): CurvePoint[] {
  return curve(ranking, ({ truePositives, falsePositives, positives, negatives, threshold }) => ({ threshold, x: falsePositives / negatives, y: truePositives / positives }));
}

/** Precision over recall, from recall 0 (precision 1 by convention) to 1; at most 64 points, evenly taken. */
export function precisionRecallPoints(ranking: Ranking): CurvePoint[] {
  return curve(ranking, ({ truePositives, falsePositives, positives, threshold }) => ({ threshold, x: truePositives / positives, y: truePositives === 0 && falsePositives === 0 ? 1 : truePositives / (truePositives + falsePositives) }));
}

interface Cut {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly positives: number;
  readonly negatives: number;
}

function curve(ranking: Ranking, pointOf: (cut: Cut) => CurvePoint): CurvePoint[] {
  const all = [...steps(ranking)];
  const positives = all.reduce((sum, step) => sum + step.positives, 0);
  const negatives = all.reduce((sum, step) => sum + step.negatives, 0);
  if (positives === 0 || negatives === 0) return [];
  // Above the highest score nothing is positive; JSON has no infinity, so the threshold is a little above it.
  const cuts: Cut[] = [{ threshold: (all[0]?.score ?? 0) + 1e-6, truePositives: 0, falsePositives: 0, positives, negatives }];
  let [truePositives, falsePositives] = [0, 0];
  for (const step of all) {
    truePositives += step.positives;
    falsePositives += step.negatives;
    cuts.push({ threshold: step.score, truePositives, falsePositives, positives, negatives });
  }
  const kept = Math.min(cuts.length, CURVE_POINTS_MAX);
  return Array.from({ length: kept }, (_, index) => {
    const cut = cuts[Math.round((index * (cuts.length - 1)) / Math.max(1, kept - 1))];
    const { threshold, x, y } = pointOf(cut ?? { threshold: 0, truePositives: 0, falsePositives: 0, positives, negatives });
    return { threshold: rounded(threshold), x: rounded(x), y: rounded(y) };
  });
}

/** Groups of rows with the same score, falling: how many positive and negative rows each adds. */
function* steps({ scores, order, isPositive }: Ranking): Generator<{ score: number; positives: number; negatives: number }> {
  for (let start = 0; start < order.length; ) {
    const score = scores[order[start] ?? 0] ?? 0;
    let [positives, negatives] = [0, 0];
    let end = start;
    for (; end < order.length && scores[order[end] ?? 0] === score; end++) {
      if (isPositive(order[end] ?? 0)) positives++;
      else negatives++;
    }
    yield { score, positives, negatives };
    start = end;
  }
}

/** Six digits are more than a plot shows, and keep records small. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
