import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { StatusError } from "@servable/errors";
import type { DatasetInspector, Inspection } from "../domain/dataset-inspector.ts";
import type { InspectorAnswer } from "../worker/worker-protocol.ts";

const WORKER = fileURLToPath(new URL("../worker/inspector-worker.ts", import.meta.url));

/** Bounds of one inspection. */
export interface ChildProcessInspectorOptions {
  /** Wall clock; then the process is killed and the data set refused. */
  readonly timeoutMs: number;
  /** The program. @default worker/inspector-worker.ts */
  readonly workerPath?: string;
}

/** An inspector that reads each data set in a child process: a file that takes all memory takes only that process. */
export function childProcessInspector({ timeoutMs, workerPath = WORKER }: ChildProcessInspectorOptions): DatasetInspector {
  return (request, signal) => {
    const child = fork(workerPath, [], { execArgv: [], env: { PATH: process.env["PATH"], NODE_ENV: "production", ORT_DISABLE_TELEMETRY: "1" }, stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
    const { promise, resolve, reject } = Promise.withResolvers<Inspection>();
    const kill = (): boolean => child.kill("SIGKILL");
    const timer = setTimeout(() => {
      reject(new StatusError("DATASET_TOO_LARGE", `reading the data set took longer than ${timeoutMs / 1000} s: upload a smaller one`));
      kill();
    }, timeoutMs);
    child.once("message", (answer: InspectorAnswer) => {
      if (answer.ok) resolve(answer.inspection);
      else reject(new StatusError(answer.reason, answer.message, { metadata: answer.metadata }));
    });
    child.once("close", (code, killer) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", kill);
      reject(
        signal.aborted
          ? StatusError.from(signal.reason)
          : new StatusError("DATASET_TOO_LARGE", `the process that read the data set ended (${killer ?? `code ${code}`}): it needs more memory than there is; upload a smaller one`),
      );
    });
    child.once("error", (error) => {
      if (child.pid !== undefined) return;
      clearTimeout(timer);
      reject(new StatusError("INTERNAL", "the data set could not be read: details are in the service's log", { cause: error }));
    });
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    else child.send(request, () => {});
    return promise;
  };
}
