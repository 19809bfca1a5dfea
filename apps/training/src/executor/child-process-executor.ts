// One attempt in a child process: training blocks its event loop, may run out of memory, and is stopped for certain only by
// ending its process.
//
// Everything that an attempt needs is in its input (files, folders, settings), and everything that it makes is in its folders
// and its messages. An executor that starts a Kubernetes Job writes the same input to a file for the same entry point
// (trainer-worker.ts without a channel reads SERVABLE_ATTEMPT_FILE and prints its messages) and follows the printed lines.

import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment, type Env } from "@servable/config";
import { activeTraceparent } from "@servable/telemetry";
import type { AttemptHooks, AttemptInput, AttemptOutcome, JobExecutor, StopReason } from "../domain/job-executor.ts";
import { NO_USAGE, type JobUsage } from "../domain/run-record.ts";
import { EXIT_REQUEUE, type ParentMessage, type WorkerMessage } from "../worker/worker-protocol.ts";
import { residentBytes } from "./process-memory.ts";

/** Settings of the processes. */
export interface ChildProcessExecutorOptions {
  /** How long a process may take to stop by itself. */
  readonly cancelGraceMs: number;
  /** How long it may take to stop with a checkpoint. @default cancelGraceMs */
  readonly saveGraceMs?: number | undefined;
  /** A process that says nothing for so long is lost: a step, or reading the data, hangs. @default 10 minutes */
  readonly silenceMaxMs?: number | undefined;
  /** How often memory is looked at. @default 500 */
  readonly memoryEveryMs?: number | undefined;
  /** Environment of this process; the parts that a trainer may know are passed on. */
  readonly env: Env;
  /** The program. @default worker/trainer-worker.ts */
  readonly workerPath?: string | undefined;
}

const WORKER = fileURLToPath(new URL("../worker/trainer-worker.ts", import.meta.url));
const MIB = 1_024 ** 2;

/** An executor that runs each attempt in a child process. The child gets no secret of this service. */
export function childProcessExecutor(options: ChildProcessExecutorOptions): JobExecutor {
  return (input, hooks) => new Attempt(options, input, hooks).outcome;
}

class Attempt {
  readonly outcome: Promise<AttemptOutcome>;
  readonly #options: ChildProcessExecutorOptions;
  readonly #hooks: AttemptHooks;
  readonly #child: ChildProcess;
  readonly #resolve: (outcome: AttemptOutcome) => void;
  readonly #startMs = performance.now();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #stop = (): void => this.#askToStop();
  #silence: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  /** What the process said last, or what it was ended for. */
  #answer: AttemptOutcome | undefined;
  #told: JobUsage = NO_USAGE;
  #peakBytes = 0;

  constructor(options: ChildProcessExecutorOptions, input: AttemptInput, hooks: AttemptHooks) {
    this.#options = options;
    this.#hooks = hooks;
    const { promise, resolve } = Promise.withResolvers<AttemptOutcome>();
    [this.outcome, this.#resolve] = [promise, resolve];
    const { limits, signal } = hooks;
    this.#child = fork(options.workerPath ?? WORKER, [], {
      // JavaScript's own heap ends with a message of its own before the whole process is over its bound.
      execArgv: Number.isFinite(limits.memoryBytes) ? [`--max-old-space-size=${Math.max(64, Math.floor(limits.memoryBytes / MIB))}`] : [],
      env: environmentOf(options.env),
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      serialization: "advanced",
    });
    this.#child.on("message", (message: WorkerMessage) => this.#hear(message));
    // "exit" may come before the last message, "close" comes after it.
    this.#child.once("close", (code, killer) => this.#finish(code, killer ?? `exit code ${code}`));
    this.#child.once("error", (error) => {
      if (this.#child.pid === undefined) this.#finish(null, `a failed start (${error.message})`);
    });
    signal.addEventListener("abort", this.#stop, { once: true });
    this.#send({ type: "start", job: input });
    this.#watch();
    if (signal.aborted) this.#stop();
  }

  #watch(): void {
    const { limits } = this.#hooks;
    this.#timers.push(setInterval(() => this.#checkMemory(), this.#options.memoryEveryMs ?? 500));
    // Longer than a timer can count is longer than anybody waits.
    if (limits.runMs < 2 ** 31) this.#timers.push(setTimeout(() => this.#end({ kind: "failed", reason: "TRAINING_TIME_EXCEEDED", message: limits.timeMessage }, true), limits.runMs));
    this.#listenOn();
  }

  /** Any word proves life. */
  #listenOn(): void {
    const silenceMaxMs = this.#options.silenceMaxMs ?? 600_000;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end({ kind: "died", how: `silence for ${Math.round(silenceMaxMs / 1_000)} s` }), silenceMaxMs);
  }

  #checkMemory(): void {
    const bytes = this.#child.pid === undefined ? undefined : residentBytes(this.#child.pid);
    if (bytes === undefined) return;
    this.#note(bytes);
    this.#tellUsage();
  }

  #note(bytes: number): void {
    const { memoryBytes } = this.#hooks.limits;
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    if (bytes <= memoryBytes) return;
    const message = `the job's process has ${Math.round(bytes / MIB)} MiB in memory, more than the ${Math.round(memoryBytes / MIB)} MiB that it may have (limits.memory_bytes): make the job smaller (batch_size, hidden_units, rows), or raise the limit`;
    this.#end({ kind: "failed", reason: "TRAINING_MEMORY_EXCEEDED", message });
  }

  #tellUsage(): void {
    this.#hooks.onNews({ kind: "usage", usage: { ...this.#told, runMs: performance.now() - this.#startMs, peakMemoryBytes: Math.max(this.#told.peakMemoryBytes, this.#peakBytes) } });
  }

  #hear(message: WorkerMessage): void {
    this.#listenOn();
    switch (message.type) {
      case "news":
        if (message.news.kind === "usage") {
          this.#told = message.news.usage;
          this.#note(message.news.usage.peakMemoryBytes);
          this.#tellUsage();
        } else this.#hooks.onNews(message.news);
        return;
      case "done": {
        const { type: _type, ...result } = message;
        this.#answer ??= { kind: "done", result };
        break;
      }
      case "failed":
        this.#answer ??= { kind: "failed", reason: message.reason, message: message.message };
        break;
      case "stopped":
        this.#answer ??= { kind: "stopped" };
        break;
      case "probed":
        this.#answer ??= { kind: "probed", estimate: message.estimate };
        break;
      default: {
        const never: never = message;
        return never;
      }
    }
    // It has said all and ends by itself; one that stays is not waited for. The channel is the child's to close: Node
    // raises no "close" for a process whose channel was closed from here.
    this.#killAfter(this.#options.cancelGraceMs);
  }

  #askToStop(): void {
    const reason = this.#hooks.signal.reason as StopReason;
    const save = reason === "paused" || reason === "preempted" || reason === "shutdown";
    if (reason === "lost") return void this.#child.kill("SIGKILL");
    this.#send({ type: "stop", save });
    this.#killAfter(save ? (this.#options.saveGraceMs ?? this.#options.cancelGraceMs) : this.#options.cancelGraceMs);
  }

  /** Ends it for a reason of this side; with its work saved where there is time for it. */
  #end(answer: AttemptOutcome, save = false): void {
    this.#answer ??= answer;
    if (!save) return void this.#child.kill("SIGKILL");
    this.#send({ type: "stop", save });
    this.#killAfter(this.#options.saveGraceMs ?? this.#options.cancelGraceMs);
  }

  #killAfter(graceMs: number): void {
    this.#killTimer ??= setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
  }

  #finish(code: number | null, how: string): void {
    for (const timer of [...this.#timers, this.#killTimer, this.#silence]) clearTimeout(timer);
    const { signal } = this.#hooks;
    signal.removeEventListener("abort", this.#stop);
    this.#tellUsage();
    if (this.#answer?.kind === "done") this.#resolve(this.#answer);
    else if (signal.aborted || code === EXIT_REQUEUE) this.#resolve(this.#answer?.kind === "failed" ? this.#answer : { kind: "stopped" });
    else this.#resolve(this.#answer ?? { kind: "died", how });
  }

  /** A process that just ended cannot be told anything: its end is reported by its own event. */
  #send(message: ParentMessage): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

function environmentOf(env: Env): Record<string, string> {
  const traceparent = activeTraceparent();
  return { ...childEnvironment(env), ...(traceparent === undefined ? {} : { TRACEPARENT: traceparent }) };
}
