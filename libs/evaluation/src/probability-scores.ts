// Metrics of probabilities as such: whether 0.8 means four times out of five.

import type { CalibrationBin } from "./evaluation-report.ts";

/** Probabilities [rows, classes], row-major, with the true class of each row. */
export interface ProbabilityTable {
  readonly targets: ArrayLike<number>;
  readonly probabilities: ArrayLike<number>;
  readonly classCount: number;
}

/** Probabilities are kept this far from 0, so that one confident error does not make the mean infinite; as scikit-learn for f32. */
const PROBABILITY_MIN = 1.1920929e-7;

/** −log of the probability of the true class, for each row; rows are normalised to sum to 1 first, as scikit-learn does. */
export function logLosses({ targets, probabilities, classCount }: ProbabilityTable): Float64Array {
  return Float64Array.from({ length: targets.length }, (_, row) => {
    let sum = 0;
    for (let index = 0; index < classCount; index++) sum += probabilities[row * classCount + index] ?? 0;
    return -Math.log(Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, (probabilities[row * classCount + (targets[row] ?? 0)] ?? 0) / sum)));
  });
}

/**
 * Squared distance of the probabilities from the truth, for each row: summed over the classes, and half of that for two
 * classes, which is the usual (p − y)².
 *
 * Source: Brier, Monthly Weather Review 78 (1950); the halving as in scikit-learn's brier_score_loss.
 */
export function brierScores({ targets, probabilities, classCount }: ProbabilityTable): Float64Array {
  return Float64Array.from({ length: targets.length }, (_, row) => {
    let sum = 0;
    for (let index = 0; index < classCount; index++) sum += ((probabilities[row * classCount + index] ?? 0) - (targets[row] === index ? 1 : 0)) ** 2;
    return classCount === 2 ? sum / 2 : sum;
  });
}

/**
 * Reliability bins of equal width over a confidence: how sure the rows of a bin were, and how often they were right.
 *
 * @param hits 1 where the statement that `confidences` is about was right, else 0
 */
export function calibrationBins(confidences: ArrayLike<number>, hits: ArrayLike<number>, binCount = 10): CalibrationBin[] {
  const sums = Array.from({ length: binCount }, () => ({ rows: 0, confidence: 0, right: 0 }));
  for (let row = 0; row < confidences.length; row++) {
    const confidence = confidences[row] ?? 0;
    // Bins are open below and closed above, but the first one takes 0.
    const bin = sums[Math.min(binCount - 1, Math.max(0, Math.ceil(confidence * binCount) - 1))];
    if (bin === undefined) continue;
    bin.rows++;
    bin.confidence += confidence;
    bin.right += hits[row] ?? 0;
  }
  return sums.map(({ rows, confidence, right }, index) => ({ low: index / binCount, high: (index + 1) / binCount, rowCount: rows, confidence: rows === 0 ? 0 : confidence / rows, accuracy: rows === 0 ? 0 : right / rows }));
}

/**
 * Expected and maximal calibration error: the distance of confidence from accuracy, averaged over the rows, and at its
 * worst bin.
 *
 * Source: Guo et al., On Calibration of Modern Neural Networks (2017), equations 3 and 5.
 */
export function calibrationErrors(bins: readonly CalibrationBin[]): { expected: number; maximal: number } {
  const rows = bins.reduce((sum, { rowCount }) => sum + rowCount, 0);
  const gaps = bins.map(({ confidence, accuracy, rowCount }) => ({ gap: Math.abs(confidence - accuracy), rowCount }));
  return {
    expected: rows === 0 ? 0 : gaps.reduce((sum, { gap, rowCount }) => sum + gap * rowCount, 0) / rows,
    maximal: Math.max(0, ...gaps.filter(({ rowCount }) => rowCount > 0).map(({ gap }) => gap)),
  };
}
