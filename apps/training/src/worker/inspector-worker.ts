// Reads one uploaded data set and says what it holds, or how its rows are divided. A process of its own, since reading takes
// seconds of one thread and memory of the file's size or, for a hostile archive, of any size.

import { writeFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { inspectDataset } from "../domain/dataset-reader/inspect-dataset.ts";
import { malformed } from "../domain/dataset-reader/malformed.ts";
import { splitDataset } from "../domain/dataset-reader/split-dataset.ts";
import type { ReaderAnswer, ReaderQuestion } from "./reader-protocol.ts";

try {
  // When memory runs out, this process is the one to go. Only Linux knows the file.
  writeFileSync("/proc/self/oom_score_adj", "1000");
} catch {
  // Without it the parent's own watch remains.
}
process.once("message", (question: ReaderQuestion) => void answer(question));
process.on("disconnect", () => process.exit(1));
// A reader of a damaged file may drop a promise that fails: that is the file's fault, and the answer.
process.on("unhandledRejection", (error) => say(refusalOf(error instanceof StatusError ? error : malformed("data", `the file is damaged (${String(error).slice(0, 160)})`))));

async function answer(question: ReaderQuestion): Promise<void> {
  const message: ReaderAnswer = await read(question).then(
    (result) => ({ ok: true, result }),
    (error: unknown) => {
      const failure = StatusError.from(error);
      if (failure.reason === "INTERNAL") process.stderr.write(`inspector: ${error instanceof Error ? error.stack : String(error)}\n`);
      return refusalOf(failure);
    },
  );
  say(message);
}

function say(message: ReaderAnswer): void {
  process.send?.(message, () => process.exit(0));
}

function refusalOf({ reason, message, metadata }: StatusError): ReaderAnswer {
  return { ok: false, reason, message, metadata };
}

function read(question: ReaderQuestion): Promise<unknown> {
  const { signal } = new AbortController();
  return question.kind === "inspect" ? inspectDataset(question.request, signal) : splitDataset(question.dataset, question.split, signal);
}
