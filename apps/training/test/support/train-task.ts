import { randomStream } from "@servable/nn";
import { adam, type Optimizer } from "@servable/optim";
import { createTrainer, type Trainer } from "@servable/trainer";
import type { AttemptInput } from "../../src/domain/job-executor.ts";
import type { EvaluationRecord } from "../../src/domain/records.ts";
import type { LearningTask, ModelFiles } from "../../src/worker/learning-task.ts";
import { readTask } from "../../src/worker/read-task.ts";

/** What training a task gave. */
export interface TrainedTask {
  readonly task: LearningTask;
  readonly evaluation: EvaluationRecord;
  readonly files: ModelFiles;
  readonly losses: readonly number[];
}

/** Trains a job's task in this process by a loop without anything around it: what it learns is the task's doing alone. */
export async function trainTask(input: AttemptInput, optimizer: Optimizer = adam({ learningRate: input.spec.learningRate })): Promise<TrainedTask> {
  const task = await readTask(input);
  await using trainer = await createTrainer({ network: task.network, optimizer, seed: input.spec.seed, ...(task.initial === undefined ? {} : { initial: task.initial }) });
  const losses = await descend(task, trainer, input.spec);
  const judged = task.testRows.length > 0 ? task.testRows : task.validationRows;
  return { task, losses, evaluation: await task.judge(judged, (batch) => trainer.evaluate(batch)), files: await task.pack(trainer.weights()) };
}

async function descend(task: LearningTask, trainer: Trainer, { epochCount, batchSize, seed }: AttemptInput["spec"]): Promise<number[]> {
  const losses: number[] = [];
  for (let epoch = 1; epoch <= epochCount; epoch++) {
    const order = randomStream(seed, `epoch ${epoch}`).permutation(task.trainingRows.length);
    for (let start = 0; start < order.length; start += batchSize) {
      const rows = order.subarray(start, start + batchSize).map((index) => task.trainingRows[index] ?? 0);
      losses.push((await trainer.step(task.feeds(rows, { epoch, step: losses.length }))).loss);
    }
  }
  return losses;
}
