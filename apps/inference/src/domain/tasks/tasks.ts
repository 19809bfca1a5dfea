import type { InferContext } from "../executor.ts";
import { classifyImage } from "./classify-image.ts";
import { classifyText, type TextLabels } from "./classify-text.ts";
import { detectSpeech, type Speech } from "./detect-speech.ts";
import { embedText, type Embedding, type TextsToEmbed } from "./embed-text.ts";
import { readText, type ReadLine } from "./read-text.ts";
import type { LabelScore } from "./steps.ts";
import type { TaskDeps, TaskModel } from "./task-model.ts";

/** The ready-made tasks: each runs a model's own preprocessing, the model through its own queue, and reads its answer. */
export interface Tasks {
  classifyImage(model: TaskModel, file: Uint8Array, topK: number, context: InferContext): Promise<LabelScore[]>;
  classifyText(model: TaskModel, texts: readonly string[], topK: number, context: InferContext): Promise<TextLabels[]>;
  embedText(model: TaskModel, texts: TextsToEmbed, context: InferContext): Promise<Embedding[]>;
  detectSpeech(model: TaskModel, file: Uint8Array, threshold: number | undefined, context: InferContext): Promise<Speech>;
  readText(model: TaskModel, file: Uint8Array, context: InferContext): Promise<ReadLine[]>;
}

/** Tasks over the models that `deps` finds. */
export function createTasks(deps: TaskDeps): Tasks {
  return {
    classifyImage: (model, file, topK, context) => classifyImage(deps, model, file, topK, context),
    classifyText,
    embedText,
    detectSpeech,
    readText: (model, file, context) => readText(deps, model, file, context),
  };
}
