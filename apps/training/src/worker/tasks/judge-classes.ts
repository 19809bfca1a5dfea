import { StatusError } from "@servable/errors";
import { evaluateClassification, type EvaluationDetail, type SliceColumn } from "@servable/evaluation";
import type { Feeds } from "@servable/trainer";
import { typedArrayOf } from "@servable/tensor";
import type { EvaluationRecord } from "../../domain/records.ts";
import type { Evaluate } from "../learning-task.ts";

/** What judging a classifier needs. */
export interface ClassJudgement {
  readonly classes: readonly string[];
  /** Class of any row. */
  readonly targets: ArrayLike<number>;
  /** Rows that are evaluated at once. */
  readonly portion: number;
  readonly feeds: (rows: Uint32Array) => Feeds;
  /** Columns to judge groups by, for these rows. */
  readonly slices?: (rows: Uint32Array) => SliceColumn[];
  /** Output that holds the logits. @default "logits" */
  readonly output?: string;
}

/** Judges a network of one logit or one a class on rows. */
export async function judgeClasses({ classes, targets, portion, feeds, slices, output = "logits" }: ClassJudgement, rows: Uint32Array, evaluate: Evaluate, detail: EvaluationDetail): Promise<EvaluationRecord> {
  const probabilities = new Float64Array(rows.length * classes.length);
  let lossSum = 0;
  for (let start = 0; start < rows.length; start += portion) {
    const some = rows.subarray(start, start + portion);
    const { loss, outputs } = await evaluate(feeds(some));
    const tensor = outputs[output];
    if (tensor === undefined) throw new TypeError(`the network has no output "${output}"`);
    lossSum += loss * some.length;
    writeProbabilities(typedArrayOf(tensor) as Float32Array, some.length, classes.length, probabilities.subarray(start * classes.length));
  }
  checkFinite(lossSum);
  return evaluateClassification({
    classes,
    targets: Uint32Array.from(rows, (row) => targets[row] ?? 0),
    probabilities,
    loss: lossSum / Math.max(1, rows.length),
    ...(slices === undefined || detail === "summary" ? {} : { slices: slices(rows) }),
    detail,
  });
}

/** @throws StatusError `TRAINING_DIVERGED`: an update that no step saw may have broken the network */
export function checkFinite(loss: number): void {
  if (!Number.isFinite(loss)) throw new StatusError("TRAINING_DIVERGED", `the loss became ${loss} on the rows that the network is judged by: lower the learning rate`);
}

/** Logits of rows as probabilities: of one logit a row by the sigmoid, else by softmax. */
function writeProbabilities(logits: Float32Array, rowCount: number, classCount: number, into: Float64Array): void {
  const outputs = logits.length / rowCount;
  for (let row = 0; row < rowCount; row++) {
    if (outputs === 1) {
      const second = 1 / (1 + Math.exp(-(logits[row] ?? NaN)));
      into[row * 2] = 1 - second;
      into[row * 2 + 1] = second;
      continue;
    }
    const values = logits.subarray(row * outputs, (row + 1) * outputs);
    const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
    for (let index = 0; index < classCount; index++) into[row * classCount + index] = Math.exp((values[index] ?? NaN) - largest) / sum;
  }
}
