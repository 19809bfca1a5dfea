import type { InferContext } from "../executors/executor.ts";
import { batchless } from "./batchless.ts";
import { topKOf } from "./request-fields.ts";
import { numbersOf, pickTensor, runModel } from "./run-model.ts";
import { decodeImage, imageSpecOf, topKLabels, type LabelScore } from "./steps.ts";
import { taskFilesOf } from "./task-files.ts";
import type { TaskDeps, TaskModel } from "./task-model.ts";

/** Names what a picture shows. @throws StatusError `TASK_NOT_DECLARED`, `IMAGE_INVALID` and what the model raises */
export async function classifyImage({ images }: Pick<TaskDeps, "images">, model: TaskModel, file: Uint8Array, topK: number, context: InferContext): Promise<LabelScore[]> {
  const files = await taskFilesOf(model, "image-classification");
  const { image, classification } = files.manifest;
  if (image === undefined || classification === undefined) throw new TypeError("a manifest of image-classification has both sections");
  const input = pickTensor(model, "inputs", image.input, "image.input");
  const output = pickTensor(model, "outputs", classification.output, "classification.output");
  const spec = imageSpecOf(image, input);
  const labels = await files.labels();
  const tensor = await decodeImage(images, [file], spec, context.signal);
  const outputs = await runModel(model, [batchless({ name: input.name, ...tensor }, input)], [output.name], 1, context);
  return topKLabels(numbersOf(outputs, output.name).values, labels, { ...classification, topK: topKOf(topK, classification.topK) });
}
