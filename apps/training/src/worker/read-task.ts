import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { PART } from "@servable/preprocessing";
import type { OpenedDataset, SplitRows } from "../domain/dataset-reader/dataset-table.ts";
import { openDataset } from "../domain/dataset-reader/open-dataset.ts";
import type { AttemptInput } from "../domain/job-executor.ts";
import { foldRows } from "./fold-rows.ts";
import type { LearningTask } from "./learning-task.ts";
import { imageTask } from "./tasks/image-task.ts";
import { baseImageShape } from "./tasks/imported-inputs.ts";
import { importedTask } from "./tasks/imported-task.ts";
import { chatTexts, tableTexts } from "./tasks/labelled-texts.ts";
import { languageTask } from "./tasks/language-task.ts";
import { tableTask } from "./tasks/table-task.ts";
import { invalid } from "./tasks/task-rows.ts";
import { textClassifierTask } from "./tasks/text-classifier-task.ts";

/**
 * Reads what a job learns: opens its data set and makes the task of its family. Set-ups that no step could learn from are
 * refused here, before any step.
 *
 * @throws StatusError `DATASET_MALFORMED`, `TARGET_UNSUITABLE`, `COLUMN_UNSUITABLE`, `FIELD_INVALID`, `MODEL_REFUSED`
 */
export async function readTask(input: AttemptInput): Promise<LearningTask> {
  const dataset = await openDataset({ ...input, imageShape: imageShapeOf(input) }, { cacheDir: input.outputDir });
  const { fold } = input.spec;
  const stored = splitOf(input, dataset.rowCount);
  const split = fold === undefined ? stored : partsOf(foldRows(dataset, input.spec, fold, stored), dataset.rowCount);
  return taskOf(dataset, input, split);
}

function taskOf(dataset: OpenedDataset, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { family } = input.spec;
  switch (dataset.kind) {
    case "table":
      if (family === "text_classifier") return textClassifierTask(tableTexts(dataset, input), input, split);
      if (family === "imported") return importedTask(dataset, input, split);
      return family === "lenet" || family === "resnet" || family === "causal_lm" ? wrong(family, "a table", "LOGISTIC_REGRESSION, SOFTMAX_REGRESSION, LINEAR_REGRESSION, MLP, TEXT_CLASSIFIER or IMPORTED") : tableTask(dataset, input, split);
    case "images":
      return family === "imported" ? importedTask(dataset, input, split) : imageTask(dataset, input, split);
    case "texts":
      return family === "causal_lm" || family === undefined ? languageTask(dataset, input, split) : wrong(family, "a text", "CAUSAL_LM");
    case "chats":
      if (family === "text_classifier") return textClassifierTask(chatTexts(dataset, input), input, split);
      return family === "causal_lm" || family === undefined ? languageTask(dataset, input, split) : wrong(family, "conversations", "CAUSAL_LM or TEXT_CLASSIFIER");
    default: {
      const never: never = dataset;
      return never;
    }
  }
}

function wrong(family: string, data: string, choices: string): never {
  throw invalid("family", `${family.toUpperCase()} does not learn from ${data}: choose ${choices}`);
}

/** The size that a zip's pictures are brought to: what the specification says, or the base model wants, or the data set has. */
function imageShapeOf(input: AttemptInput): readonly number[] | undefined {
  const { format, imageShape, spec } = input;
  const channels = imageShape?.[2] ?? 3;
  if (format !== "image_zip") {
    if (spec.imageSize !== 0 && imageShape !== undefined && imageShape.length > 0 && (imageShape[0] !== spec.imageSize || imageShape[1] !== spec.imageSize)) throw invalid("image_size", `is ${spec.imageSize}, and only the pictures of a zip are brought to another size: leave it 0`);
    return imageShape;
  }
  if (spec.imageSize !== 0) return [spec.imageSize, spec.imageSize, channels];
  return (spec.family === "imported" ? baseImageShape(input) : undefined) ?? imageShape;
}

/** Rows by part as one byte a row. */
function partsOf(rows: SplitRows, rowCount: number): Uint8Array {
  const parts = new Uint8Array(rowCount).fill(PART.none);
  for (const part of ["training", "validation", "test"] as const) for (const row of rows[part]) parts[row] = PART[part];
  return parts;
}

/** The part of each row as the stored split has it. @throws StatusError `DATASET_MALFORMED` when the file is not the recorded one */
function splitOf({ split }: AttemptInput, rowCount: number): Uint8Array | undefined {
  if (split === undefined) return undefined;
  const parts = readFileSync(split.path);
  if (createHash("sha256").update(parts).digest("hex") !== split.sha256 || parts.length !== rowCount) throw new StatusError("DATASET_MALFORMED", `the stored split is of ${parts.length} rows and the data set has ${rowCount}, or its digest is another`);
  return parts;
}
