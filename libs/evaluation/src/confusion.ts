// Metrics of hard decisions: all of them follow from the confusion matrix.

import type { RowWeights } from "./bootstrap.ts";
import type { ClassMetrics } from "./evaluation-report.ts";

/** True class × predicted class, row-major [classes, classes]; weighted rows where weights are given. */
export function confusionMatrix(targets: ArrayLike<number>, predicted: ArrayLike<number>, classCount: number, weights?: RowWeights): Float64Array {
  const matrix = new Float64Array(classCount * classCount);
  for (let row = 0; row < targets.length; row++) {
    const cell = (targets[row] ?? 0) * classCount + (predicted[row] ?? 0);
    matrix[cell] = (matrix[cell] ?? 0) + (weights === undefined ? 1 : (weights[row] ?? 0));
  }
  return matrix;
}

/** Precision, recall and F1 of each class; a quotient by zero is 0, as in scikit-learn with zero_division=0. */
export function classMetricsOf(matrix: ArrayLike<number>, classes: readonly string[]): ClassMetrics[] {
  const { truths, guesses, hits } = marginals(matrix, classes.length);
  return classes.map((name, index) => {
    const hit = hits[index] ?? 0;
    return { class: name, precision: ratio(hit, guesses[index] ?? 0), recall: ratio(hit, truths[index] ?? 0), f1: ratio(2 * hit, (guesses[index] ?? 0) + (truths[index] ?? 0)), rowCount: truths[index] ?? 0 };
  });
}

/** Names of the numbers that {@link decisionScores} gives, in order. */
export const DECISION_METRICS = ["accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_micro", "precision_weighted", "recall_weighted", "f1_weighted"] as const;

/**
 * Averages over the classes. Macro: each class counts the same; weighted: by its rows; micro: each row the same, which of
 * single labels is the accuracy. Only classes that occur, as truth or as answer, take part; balanced accuracy is the mean
 * recall of the classes that occur as truth.
 *
 * Source: scikit-learn 1.9, precision_recall_fscore_support and balanced_accuracy_score.
 */
export function decisionScores(matrix: ArrayLike<number>, classCount: number): number[] {
  const { truths, guesses, hits } = marginals(matrix, classCount);
  let [total, right, occurring, present] = [0, 0, 0, 0];
  let [precision, recall, f1, recallPresent] = [0, 0, 0, 0];
  let [precisionWeighted, f1Weighted] = [0, 0];
  for (let index = 0; index < classCount; index++) {
    const [truth, guess, hit] = [truths[index] ?? 0, guesses[index] ?? 0, hits[index] ?? 0];
    if (truth === 0 && guess === 0) continue;
    const own = { precision: ratio(hit, guess), recall: ratio(hit, truth), f1: ratio(2 * hit, guess + truth) };
    occurring++;
    total += truth;
    right += hit;
    precision += own.precision;
    recall += own.recall;
    f1 += own.f1;
    precisionWeighted += own.precision * truth;
    f1Weighted += own.f1 * truth;
    if (truth > 0) {
      present++;
      recallPresent += own.recall;
    }
  }
  const accuracy = ratio(right, total);
  return [accuracy, ratio(recallPresent, present), ratio(precision, occurring), ratio(recall, occurring), ratio(f1, occurring), accuracy, ratio(precisionWeighted, total), accuracy, ratio(f1Weighted, total)];
}

function marginals(matrix: ArrayLike<number>, size: number): { truths: Float64Array; guesses: Float64Array; hits: Float64Array } {
  const [truths, guesses, hits] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  for (let truth = 0; truth < size; truth++) {
    for (let guess = 0; guess < size; guess++) {
      const count = matrix[truth * size + guess] ?? 0;
      truths[truth] = (truths[truth] ?? 0) + count;
      guesses[guess] = (guesses[guess] ?? 0) + count;
    }
    hits[truth] = matrix[truth * size + truth] ?? 0;
  }
  return { truths, guesses, hits };
}

function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}
