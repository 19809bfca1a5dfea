import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment, type Env } from "@servable/config";
import { activeTraceparent } from "@servable/telemetry";
import type { AttemptOutcome, JobExecutor } from "../domain/job-executor.ts";
import type { ParentMessage, WorkerMessage } from "../worker/worker-protocol.ts";

/** Settings of the processes. */
export interface ChildProcessExecutorOptions {
  /** How long a process may take to stop by itself. */
  readonly cancelGraceMs: number;
  /** Environment of this process; the parts that a trainer may know are passed on. */
  readonly env: Env;
  /** The program. @default worker/trainer-worker.ts */
  readonly workerPath?: string | undefined;
}

const WORKER = fileURLToPath(new URL("../worker/trainer-worker.ts", import.meta.url));

/**
 * An executor that runs each attempt in a child process: training blocks its event loop, may run out of memory, and is
 * stopped for certain only by ending its process. The child gets no secret of this service.
 */
export function childProcessExecutor({ cancelGraceMs, env, workerPath = WORKER }: ChildProcessExecutorOptions): JobExecutor {
  return (input, { signal, onProgress }) => {
    const child = fork(workerPath, [], { execArgv: [], env: environmentOf(env), stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
    const { promise, resolve } = Promise.withResolvers<AttemptOutcome>();
    let answer: AttemptOutcome | undefined;
    let killTimer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      send(child, { type: "cancel" });
      killTimer ??= setTimeout(() => child.kill("SIGKILL"), cancelGraceMs);
    };
    child.on("message", (message: WorkerMessage) => {
      switch (message.type) {
        case "progress":
          onProgress(message.progress);
          return;
        case "done":
          answer ??= { kind: "done", result: { modelPath: message.modelPath, modelSha256: message.modelSha256, evaluation: message.evaluation, servingConfigJson: message.servingConfigJson } };
          break;
        case "failed":
          answer ??= { kind: "failed", reason: message.reason, message: message.message };
          break;
      }
      // It has said all and ends by itself; one that stays is not waited for. The channel is the child's to close: Node
      // raises no "close" for a process whose channel was closed from here.
      killTimer ??= setTimeout(() => child.kill("SIGKILL"), cancelGraceMs);
    });
    const finish = (how: string): void => {
      clearTimeout(killTimer);
      signal.removeEventListener("abort", stop);
      if (answer?.kind === "done") resolve(answer);
      else resolve(signal.aborted ? { kind: "stopped" } : (answer ?? { kind: "died", how }));
    };
    // "exit" may come before the last message, "close" comes after it.
    child.once("close", (code, killer) => finish(killer ?? `exit code ${code}`));
    child.once("error", (error) => {
      if (child.pid === undefined) finish(`a failed start (${error.message})`);
    });
    signal.addEventListener("abort", stop, { once: true });
    send(child, { type: "start", job: input });
    if (signal.aborted) stop();
    return promise;
  };
}

/** A process that just ended cannot be told anything: its end is reported by its own event. */
function send(child: ChildProcess, message: ParentMessage): void {
  if (child.connected) child.send(message, () => {});
}

function environmentOf(env: Env): Record<string, string> {
  const traceparent = activeTraceparent();
  return { ...childEnvironment(env), ...(traceparent === undefined ? {} : { TRACEPARENT: traceparent }) };
}
