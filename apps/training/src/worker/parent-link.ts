import { readFileSync } from "node:fs";
import type { AttemptInput } from "../domain/job-executor.ts";
import type { ParentMessage, WorkerMessage } from "./worker-protocol.ts";

/** The side of a training process that is told and tells. */
export interface ParentLink {
  readonly job: Promise<AttemptInput>;
  /** Aborts when the process is to stop between two steps; the reason says whether its work is to be saved. */
  readonly stop: AbortSignal;
  say(message: WorkerMessage): Promise<void>;
  /** Lets the process end. */
  close(): void;
}

/** Reason of {@link ParentLink.stop}. */
export interface StopRequest {
  readonly save: boolean;
}

/**
 * The link of this process: messages of the service that forked it, or, without such a channel, a file that the variable
 * SERVABLE_ATTEMPT_FILE names and lines of JSON on the standard output. SIGTERM is a wish to stop with the work saved:
 * machines that are taken away send it.
 */
export function openParentLink(): ParentLink {
  const started = Promise.withResolvers<AttemptInput>();
  const stop = new AbortController();
  const request = (save: boolean): void => stop.abort({ save } satisfies StopRequest);
  process.on("SIGTERM", () => request(true));
  // The service and its processes may share a terminal: its interrupt is the service's to pass on.
  process.on("SIGINT", () => {});
  if (process.send === undefined) {
    started.resolve(JSON.parse(readFileSync(process.env["SERVABLE_ATTEMPT_FILE"] ?? "attempt.json", "utf8")) as AttemptInput);
    return { job: started.promise, stop: stop.signal, close: () => {}, say: (message) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve())) };
  }
  process.on("message", (message: ParentMessage) => {
    if (message.type === "start") started.resolve(message.job);
    else request(message.save);
  });
  // Nobody is left to hear the result, and the job will be given to another process.
  process.on("disconnect", () => process.exit(1));
  return {
    job: started.promise,
    stop: stop.signal,
    say: (message) => new Promise((resolve) => void process.send?.(message, () => resolve())),
    close: () => {
      process.removeAllListeners("disconnect");
      process.disconnect?.();
    },
  };
}
