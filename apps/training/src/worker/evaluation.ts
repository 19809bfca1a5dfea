import type { EvaluationRecord } from "../domain/records.ts";

/** What a model said of rows whose class is known. */
export interface Predictions {
  readonly classes: readonly string[];
  /** True class of each row. */
  readonly targets: Uint32Array;
  /** Most probable class of each row. */
  readonly predicted: Uint32Array;
  /** Score of the positive class of each row; two classes only. */
  readonly scores: Float32Array | undefined;
  readonly loss: number;
}

/** The report: accuracy beside the baseline that it must beat, and each class by itself. */
export function evaluate({ classes, targets, predicted, scores, loss }: Predictions): EvaluationRecord {
  const size = classes.length;
  const confusion = new Array<number>(size * size).fill(0);
  targets.forEach((truth, row) => {
    const cell = truth * size + (predicted[row] ?? 0);
    confusion[cell] = (confusion[cell] ?? 0) + 1;
  });
  const at = (truth: number, guess: number): number => confusion[truth * size + guess] ?? 0;
  const indices = [...classes.keys()];
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const rowCount = targets.length;
  const counts = indices.map((truth) => sum(indices.map((guess) => at(truth, guess))));
  return {
    rowCount,
    loss,
    accuracy: sum(indices.map((index) => at(index, index))) / Math.max(1, rowCount),
    baselineAccuracy: Math.max(0, ...counts) / Math.max(1, rowCount),
    ...(scores === undefined ? {} : { auc: areaUnderCurve(targets, scores) }),
    classes,
    classMetrics: classes.map((name, index) => {
      const guessed = sum(indices.map((truth) => at(truth, index)));
      const precision = guessed === 0 ? 0 : at(index, index) / guessed;
      const recall = counts[index] === 0 ? 0 : at(index, index) / (counts[index] ?? 1);
      return { class: name, precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall), rowCount: counts[index] ?? 0 };
    }),
    confusionMatrix: confusion,
  };
}

/**
 * Area under the ROC curve: the chance that a positive row scores above a negative one, ties half. 0.5 when a class is absent.
 *
 * Source: Mann-Whitney U by ranks, Hanley & McNeil 1982.
 */
export function areaUnderCurve(targets: Uint32Array, scores: Float32Array): number {
  const order = [...scores.keys()].sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  let rankSum = 0;
  let positives = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && scores[order[end] ?? 0] === scores[order[start] ?? 0]) end++;
    const rank = (start + 1 + end) / 2;
    for (let index = start; index < end; index++) {
      if (targets[order[index] ?? 0] === 1) {
        positives++;
        rankSum += rank;
      }
    }
    start = end;
  }
  const negatives = targets.length - positives;
  return positives === 0 || negatives === 0 ? 0.5 : (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
