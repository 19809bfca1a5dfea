import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttemptInput, AttemptNews, AttemptOutcome, JobExecutor } from "../../src/domain/job-executor.ts";
import type { EvaluationRecord, ProgressRecord } from "../../src/domain/records.ts";

/** One attempt that waits for the test to say how it goes. */
export interface ControlledAttempt {
  readonly input: AttemptInput;
  readonly signal: AbortSignal;
  readonly say: (news: AttemptNews) => void;
  readonly progress: (step: number) => void;
  readonly end: (outcome: AttemptOutcome) => void;
  /** Ends well, with a file of these bytes. */
  readonly succeed: (bytes?: string) => void;
}

/** An executor whose attempts the test leads. */
export function controlledExecutor(): { readonly execute: JobExecutor; readonly next: () => Promise<ControlledAttempt>; readonly startedCount: () => number } {
  const arrived: ControlledAttempt[] = [];
  const waiting: ((attempt: ControlledAttempt) => void)[] = [];
  let started = 0;
  return {
    startedCount: () => started,
    next: () => {
      const attempt = arrived.shift();
      return attempt === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(attempt);
    },
    execute: (input, { signal, onNews }) => {
      started += 1;
      const { promise, resolve } = Promise.withResolvers<AttemptOutcome>();
      signal.addEventListener("abort", () => resolve({ kind: "stopped" }), { once: true });
      const attempt: ControlledAttempt = {
        input,
        signal,
        say: onNews,
        progress: (step) => onNews({ kind: "progress", progress: progressAt(step) }),
        end: resolve,
        succeed: (bytes = "model") => {
          const file = join(input.outputDir, "model.onnx");
          writeFileSync(file, bytes);
          resolve({ kind: "done", result: { files: [{ path: "model.onnx", file, sha256: createHash("sha256").update(bytes).digest("hex") }], evaluation: EVALUATION, servingConfigJson: `{"max_batch_size":8}` } });
        },
      };
      const taker = waiting.shift();
      if (taker === undefined) arrived.push(attempt);
      else taker(attempt);
      return promise;
    },
  };
}

export function progressAt(step: number): ProgressRecord {
  return { epoch: 1, epochCount: 2, step, stepCount: 10, loss: 1 / step, validationAccuracy: 0.5, stepsPerSecond: 100 };
}

/** An evaluation with a value in every field. */
export const EVALUATION: EvaluationRecord = {
  kind: "classification",
  rowCount: 10,
  loss: 0.25,
  accuracy: 0.9,
  baselineAccuracy: 0.6,
  auc: 0.95,
  classes: ["no", "yes"],
  classMetrics: [
    { class: "no", precision: 1, recall: 0.8, f1: 0.89, rowCount: 5 },
    { class: "yes", precision: 0.8, recall: 1, f1: 0.89, rowCount: 5 },
  ],
  confusionMatrix: [4, 1, 0, 5],
  metrics: { accuracy: { value: 0.9, interval: { low: 0.6, high: 0.98, level: 0.95 } }, baseline_accuracy: { value: 0.6 }, loss: { value: 0.25 }, auc: { value: 0.95 } },
  slices: [{ column: "sex", value: "f", rowCount: 10, tooSmall: true, metrics: {} }],
  calibration: [{ low: 0.9, high: 1, rowCount: 10, confidence: 0.95, accuracy: 0.9 }],
  curves: [{ kind: "roc", class: "yes", area: 0.95, points: [{ threshold: 0.5, x: 0, y: 1 }] }],
};
