import type { InferContext } from "../executors/executor.ts";
import { checkTextCount, topKOf } from "./request-fields.ts";
import { numbersOf, pickTensor } from "./run-model.ts";
import { runTexts, tokensMaxOf } from "./run-texts.ts";
import { tokenize, topKLabels, type LabelScore } from "./steps.ts";
import { taskFilesOf } from "./task-files.ts";
import type { TaskModel } from "./task-model.ts";

/** The labels of one text. */
export interface TextLabels {
  readonly labels: readonly LabelScore[];
  readonly tokenCount: number;
  readonly truncated: boolean;
}

/** Says of each text which labels fit it. @throws StatusError `TASK_NOT_DECLARED`, `FIELD_INVALID` and what the model raises */
export async function classifyText(model: TaskModel, texts: readonly string[], topK: number, context: InferContext): Promise<TextLabels[]> {
  checkTextCount(texts.length, "texts");
  const files = await taskFilesOf(model, "text-classification");
  const { tokenizer: section, classification } = files.manifest;
  if (section === undefined || classification === undefined) throw new TypeError("a manifest of text-classification has both sections");
  const [tokenizer, labels] = await Promise.all([files.tokenizer(), files.labels()]);
  const output = pickTensor(model, "outputs", classification.output, "classification.output", ["logits"]);
  const encoded = await tokenize(tokenizer, texts.map((text) => section.prefix + text), { tokensMax: tokensMaxOf(model, section, tokenizer), specialTokens: section.specialTokens });
  const results = new Array<TextLabels>(texts.length);
  const settings = { ...classification, topK: topKOf(topK, classification.topK) };
  for (const { indices, outputs } of await runTexts(model, encoded, { section, padId: tokenizer.padId, outputs: [output.name] }, context)) {
    const { shape, values } = numbersOf(outputs, output.name);
    const classes = shape.at(-1) ?? 0;
    indices.forEach((index, row) => {
      const text = encoded[index];
      results[index] = { labels: topKLabels(values.subarray(row * classes, (row + 1) * classes), labels, settings), tokenCount: text?.ids.length ?? 0, truncated: text?.truncated ?? false };
    });
  }
  return results;
}
