import { fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { StatusError } from "@servable/errors";
import type { DatasetInspector, Inspection } from "../domain/dataset-inspector.ts";
import type { DatasetSplitter } from "../domain/dataset-splitter.ts";
import type { ReaderAnswer, ReaderQuestion } from "../worker/reader-protocol.ts";

const WORKER = fileURLToPath(new URL("../worker/inspector-worker.ts", import.meta.url));
const MEMORY_WATCH_MS = 50;
const PAGE_BYTES = 4_096;

/** Bounds of one reading. */
export interface ChildProcessInspectorOptions {
  /** Wall clock; then the process is killed and the data set refused. */
  readonly timeoutMs: number;
  /** Resident memory; then the process is killed and the data set refused. @default 4 GiB */
  readonly memoryBytesMax?: number | undefined;
  /** The program. @default worker/inspector-worker.ts */
  readonly workerPath?: string;
}

/** An inspector that reads each data set in a child process: a file that takes all memory takes only that process. */
export function childProcessInspector(options: ChildProcessInspectorOptions): DatasetInspector {
  return (request, signal) => ask<Inspection>({ kind: "inspect", request }, options, signal);
}

/** A splitter that reads what it needs in a child process. */
export function childProcessSplitter(options: ChildProcessInspectorOptions): DatasetSplitter {
  return (dataset, split, signal) => ask<Uint8Array>({ kind: "split", dataset, split }, options, signal);
}

function ask<Result>(question: ReaderQuestion, { timeoutMs, memoryBytesMax = 4 * 1024 ** 3, workerPath = WORKER }: ChildProcessInspectorOptions, signal: AbortSignal): Promise<Result> {
  const child = fork(workerPath, [], { execArgv: [], env: { PATH: process.env["PATH"], NODE_ENV: "production", ORT_DISABLE_TELEMETRY: "1" }, stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const kill = (): boolean => child.kill("SIGKILL");
  const end = (verdict: string): void => {
    reject(new StatusError("DATASET_TOO_LARGE", verdict));
    kill();
  };
  const timer = setTimeout(() => end(`reading the data set took longer than ${timeoutMs / 1000} s (SERVABLE_DATASET_INSPECTION_TIMEOUT): upload a smaller one`), timeoutMs);
  const memory = setInterval(() => {
    // Only Linux has the file; elsewhere the time alone is a bound.
    readFile(`/proc/${child.pid}/statm`, "utf8").then(
      (text) => {
        if (Number(text.split(" ")[1]) * PAGE_BYTES > memoryBytesMax) end(`reading the data set takes more than ${memoryBytesMax} bytes of memory (SERVABLE_DATASET_INSPECTION_MEMORY): upload a smaller one`);
      },
      () => clearInterval(memory),
    );
  }, MEMORY_WATCH_MS);
  child.once("message", (answer: ReaderAnswer<Result>) => {
    if (answer.ok) resolve(answer.result);
    else reject(new StatusError(answer.reason, answer.message, { metadata: answer.metadata }));
  });
  const settle = (): void => {
    clearTimeout(timer);
    clearInterval(memory);
    signal.removeEventListener("abort", kill);
  };
  child.once("close", (code, killer) => {
    settle();
    reject(
      signal.aborted
        ? StatusError.from(signal.reason)
        : new StatusError("DATASET_TOO_LARGE", `the process that read the data set ended (${killer ?? `code ${code}`}): it needs more memory than there is; upload a smaller one`),
    );
  });
  child.once("error", (error) => {
    if (child.pid !== undefined) return;
    settle();
    reject(new StatusError("INTERNAL", "the data set could not be read: details are in the service's log", { cause: error }));
  });
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  else child.send(question, () => {});
  return promise;
}
