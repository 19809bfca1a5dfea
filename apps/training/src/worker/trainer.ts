import { StatusError } from "@servable/errors";
import { evaluateClassification } from "@servable/evaluation";
import { randomStream } from "@servable/nn";
import { adamW, referenceOptimizer, sgd, type ReferenceOptimizer } from "@servable/optim";
import type { AttemptInput } from "../domain/job-executor.ts";
import type { EvaluationRecord, ProgressRecord, TrainingSpecRecord } from "../domain/records.ts";
import { readProblem, type LearningProblem } from "./learning-problem.ts";
import { createNetwork, type Batch, type Network } from "./network.ts";

const PROGRESS_EVERY_MS = 200;
const EVALUATION_ROWS = 1_024;

/** What a training run gives. */
export interface TrainingResult {
  readonly model: Uint8Array;
  readonly evaluation: EvaluationRecord;
}

/** What a training run is told and tells. */
export interface TrainingHooks {
  /** Stops between two steps. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ProgressRecord) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * Trains a job from its files to an ONNX model. The same input gives the same bytes: split, first weights and batch order
 * follow from the seed, and onnxruntime runs on one thread.
 *
 * @throws StatusError `DATASET_MALFORMED`, `TARGET_UNSUITABLE`, `TRAINING_DIVERGED`, `CANCELLED`
 */
export async function train(input: AttemptInput, hooks: TrainingHooks): Promise<TrainingResult> {
  const { spec } = input;
  const problem = await readProblem(input);
  const { training, validation } = split(problem.rowCount, spec);
  problem.fit(training);
  const outputs = problem.classes.length === 2 && spec.family !== "softmax_regression" ? 1 : problem.classes.length;
  const network = await createNetwork({ inputs: problem.width, hidden: spec.family === "mlp" ? spec.hiddenUnits : [], outputs }, spec.seed);
  await descend(network, problem, outputs, training, validation, spec, hooks);
  const rows = validation.length > 0 ? validation : training;
  const predictions = await predict(network, problem, outputs, rows);
  // The update of the last step was seen by no further one.
  if (!Number.isFinite(predictions.loss)) throw diverged(predictions.loss, "after the last step", spec);
  return { model: network.export(problem), evaluation: evaluateClassification(predictions) };
}

/** Training and validation rows, by a permutation of the seed. */
function split(rowCount: number, { validationFraction, seed }: TrainingSpecRecord): { training: Uint32Array; validation: Uint32Array } {
  const order = randomStream(seed, "split").permutation(rowCount);
  const validationCount = Math.min(rowCount - 1, Math.round(rowCount * validationFraction));
  return { training: order.slice(validationCount), validation: order.slice(0, validationCount) };
}

async function descend(network: Network, problem: LearningProblem, outputs: number, training: Uint32Array, validation: Uint32Array, spec: TrainingSpecRecord, { signal, onProgress, now }: TrainingHooks): Promise<void> {
  const optimizer = optimizerOf(spec, network.arena.length);
  const gradient = new Float32Array(network.arena.length);
  const batch = emptyBatch(spec.batchSize, problem.width, outputs);
  const batchCount = Math.ceil(training.length / spec.batchSize);
  const stepCount = spec.epochCount * batchCount;
  let validated: { validationLoss: number; validationAccuracy: number } | undefined;
  let [step, lossSum, since, last] = [0, 0, 0, now()];
  const report = (epoch: number): void => {
    onProgress({ epoch, epochCount: spec.epochCount, step, stepCount, loss: lossSum / Math.max(1, since), stepsPerSecond: (since * 1_000) / Math.max(1, now() - last), ...validated });
    [lossSum, since, last] = [0, 0, now()];
  };
  for (let epoch = 1; epoch <= spec.epochCount; epoch++) {
    const order = randomStream(spec.seed, `epoch ${epoch}`).permutation(training.length);
    for (let start = 0; start < training.length; start += spec.batchSize) {
      // A macrotask now and then, so that a cancellation can be heard.
      if (now() - last >= PROGRESS_EVERY_MS) {
        report(epoch);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (signal.aborted) throw new StatusError("CANCELLED", "the training was stopped");
      const rows = order.subarray(start, start + spec.batchSize).map((index) => training[index] ?? 0);
      const loss = await network.step(fillBatch(batch, problem, outputs, rows), gradient);
      if (!Number.isFinite(loss)) throw diverged(loss, `at step ${step + 1}`, spec);
      optimizer.step(network.arena, gradient);
      step++;
      lossSum += loss;
      since++;
    }
    if (validation.length > 0) {
      const { loss, predicted, targets } = await predict(network, problem, outputs, validation);
      validated = { validationLoss: loss, validationAccuracy: targets.filter((truth, row) => truth === predicted[row]).length / targets.length };
    }
    report(epoch);
  }
}

function diverged(loss: number, when: string, { learningRate }: TrainingSpecRecord): StatusError {
  return new StatusError("TRAINING_DIVERGED", `the loss became ${loss} ${when}: lower the learning rate (it is ${learningRate})`);
}

function optimizerOf({ optimizer, learningRate, momentum, weightDecay }: TrainingSpecRecord, size: number): ReferenceOptimizer {
  return referenceOptimizer(optimizer === "adam" ? adamW({ learningRate, weightDecay }) : sgd({ learningRate, momentum, l2: weightDecay }), size);
}

/** Loss and classes of rows, in portions. */
async function predict(network: Network, problem: LearningProblem, outputs: number, rows: Uint32Array) {
  const batch = emptyBatch(Math.min(EVALUATION_ROWS, rows.length), problem.width, outputs);
  const predicted = new Uint32Array(rows.length);
  const probabilities = new Float32Array(rows.length * outputs);
  let lossSum = 0;
  for (let start = 0; start < rows.length; start += EVALUATION_ROWS) {
    const portion = rows.subarray(start, start + EVALUATION_ROWS);
    const { loss, logits } = await network.evaluate(fillBatch(batch, problem, outputs, portion));
    lossSum += loss * portion.length;
    portion.forEach((_, row) => {
      const values = logits.subarray(row * outputs, (row + 1) * outputs);
      const highest = Math.max(...values);
      predicted[start + row] = outputs === 1 ? (highest > 0 ? 1 : 0) : values.indexOf(highest);
      probabilities.set(outputs === 1 ? [1 / (1 + Math.exp(-highest))] : softmaxOf(values, highest), (start + row) * outputs);
    });
  }
  return { classes: problem.classes, targets: rows.map((row) => problem.targets[row] ?? 0), predicted, probabilities, loss: lossSum / Math.max(1, rows.length) };
}

function softmaxOf(values: Float32Array, highest: number): Float32Array {
  const powers = values.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function emptyBatch(rows: number, width: number, outputs: number): Batch {
  return { features: new Float32Array(rows * width), targets: new Float32Array(rows * outputs), rows: 0 };
}

function fillBatch(batch: Batch, problem: LearningProblem, outputs: number, rows: Uint32Array): Batch {
  const { features, targets } = batch;
  features.fill(0);
  targets.fill(0);
  rows.forEach((row, index) => {
    problem.fill(row, features, index * problem.width);
    const target = problem.targets[row] ?? 0;
    if (outputs === 1) targets[index] = target;
    else targets[index * outputs + target] = 1;
  });
  return { features, targets, rows: rows.length };
}
