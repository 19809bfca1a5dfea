// The "validating_files" of a job: every line is looked at, and the first bad one is named as the caller's file has it.

import { StatusError } from "@servable/errors";
import { problemOfExample } from "../dataset-reader/chat-examples.ts";
import { textLines } from "../dataset-reader/text-pieces.ts";
import type { TuningHyperparameters } from "./records.ts";

/** Lines looked at before others get their turn. */
const LINES_AT_A_TIME = 500;
/** Fewer examples cannot be divided into what is learned and what is judged by. */
export const EXAMPLES_MIN = 10;

/** How many examples a file holds. @throws StatusError `DATASET_MALFORMED` naming field and line */
export async function countExamples(path: string, field: "training_file" | "validation_file", signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const { text, line } of textLines(path)) {
    if (line % LINES_AT_A_TIME === 0) {
      signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (text.trim() === "") continue;
    const problem = problemOfExample(text);
    if (problem !== undefined) throw new StatusError("DATASET_MALFORMED", `${field}, line ${line}: ${problem}`, { metadata: { field, line: String(line) } });
    count++;
  }
  const least = field === "training_file" ? EXAMPLES_MIN : 1;
  if (count < least) throw new StatusError("DATASET_MALFORMED", `${field} has ${count} examples, at least ${least} are needed`, { metadata: { field } });
  return count;
}

/** The numbers that "auto" stands for: small files are passed over more often, in smaller steps. */
export function chosenHyperparameters(asked: TuningHyperparameters, exampleCount: number): Required<TuningHyperparameters> & { readonly batchSize: number; readonly learningRateMultiplier: number; readonly epochCount: number } {
  const batchSize = asked.batchSize ?? Math.min(32, Math.max(4, Math.round(exampleCount / 50)));
  const epochCount = asked.epochCount ?? Math.min(25, Math.max(3, Math.ceil((200 * batchSize) / exampleCount)));
  return { batchSize, epochCount, learningRateMultiplier: asked.learningRateMultiplier ?? 1 };
}
