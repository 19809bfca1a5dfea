import type { InferContext } from "../executors/executor.ts";
import type { TextLabels } from "./classify-text.ts";
import type { Speech } from "./detect-speech.ts";
import type { Embedding, TextsToEmbed } from "./embed-text.ts";
import type { ReadLine } from "./read-text.ts";
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

/** Tasks over the models that `deps` finds. Each is loaded with its first call, so that a replica without tasks pays nothing. */
export function createTasks(deps: TaskDeps): Tasks {
  return {
    classifyImage: async (model, file, topK, context) => (await import("./classify-image.ts")).classifyImage(deps, model, file, topK, context),
    classifyText: async (model, texts, topK, context) => (await import("./classify-text.ts")).classifyText(model, texts, topK, context),
    embedText: async (model, texts, context) => (await import("./embed-text.ts")).embedText(model, texts, context),
    detectSpeech: async (model, file, threshold, context) => (await import("./detect-speech.ts")).detectSpeech(model, file, threshold, context),
    readText: async (model, file, context) => (await import("./read-text.ts")).readText(deps, model, file, context),
  };
}
