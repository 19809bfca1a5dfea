import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StatusError } from "@servable/errors";
import type { AttemptInput, ResultFile } from "../domain/job-executor.ts";
import type { LearningTask, ModelFiles } from "./learning-task.ts";
import { weightsDigest } from "./run-facts.ts";
import { TrainingLoop, type LoopHooks } from "./training-loop.ts";
import type { WorkerMessage } from "./worker-protocol.ts";

/**
 * One attempt of a job, from its files to the files of a model version. The same input gives the same bytes, however often
 * an attempt before it was stopped.
 *
 * @throws StatusError `DATASET_MALFORMED`, `TARGET_UNSUITABLE`, `FIELD_INVALID`, `TRAINING_DIVERGED`, `CHECKPOINT_INCOMPATIBLE`
 */
export async function runAttempt(input: AttemptInput, hooks: LoopHooks, readTask: (input: AttemptInput) => Promise<LearningTask>): Promise<Exclude<WorkerMessage, { type: "news" | "failed" }>> {
  const task = await readTask(input);
  await using loop = new TrainingLoop(task, input, hooks);
  const end = await loop.run();
  if (end === "stopped") return { type: "stopped" };
  if (end === "probed") return { type: "probed", estimate: loop.estimate };
  const { trainer } = loop;
  const rows = [task.testRows, task.validationRows, task.trainingRows].find(({ length }) => length > 0) ?? task.trainingRows;
  const evaluation = await task.judge(rows, (batch) => trainer.evaluate(batch), "full");
  // The update of the last step was seen by no further one.
  if (!Number.isFinite(evaluation.loss)) throw new StatusError("TRAINING_DIVERGED", `the loss became ${evaluation.loss} after the last step: lower the learning rate (it is ${input.spec.learningRate})`);
  const weights = trainer.weights();
  const files = writeFiles(await task.pack(weights), input.outputDir);
  return { type: "done", files, evaluation, runRecord: { ...loop.record, weightsDigest: weightsDigest(weights) } };
}

function writeFiles(files: ModelFiles, folder: string): ResultFile[] {
  return [...files].map(([path, bytes]) => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    return { path, file, sha256: createHash("sha256").update(bytes).digest("hex") };
  });
}
