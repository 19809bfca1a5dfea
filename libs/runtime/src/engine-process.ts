// The service's side of an engine process.
//
// I1  Every call ends: by its answer, by its own deadline or cancellation, or by the end of the process.
// I2  A run longer than `runMsMax` ends the process: nothing else can stop it.
// I3  A process that ends is started again after a pause that doubles; after `restartsMax` failures in a row the engine stays down.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "@servable/config";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { Engine, EngineInput, RunOptions, RunResult } from "./engine.ts";
import type { EngineRequest, EngineResponse, SessionSettings } from "./engine-protocol.ts";
import { FrameReader, byteLengthOf, encodeFrame, tensorsOf } from "./frame.ts";

/** What an engine process runs and its bounds. */
export interface EngineProcessOptions extends Partial<SessionSettings> {
  /** Path of the ONNX file. */
  readonly path: string;
  /** Name for logs. */
  readonly model: string;
  /** Bytes that the model may allocate, weights mapped from files aside; kept where the machine has `prlimit`. Absent = no bound. */
  readonly memoryBytesMax?: number | undefined;
  /** How long loading may take. @default 120000 */
  readonly loadMsMax?: number;
  /** How long one run may take before the process is killed. @default 60000 */
  readonly runMsMax?: number;
  /** Calls that may wait for the engine. @default 1024 */
  readonly pendingMax?: number;
  /** Restarts in a row before the engine stays down. @default 5 */
  readonly restartsMax?: number;
  /** Told of crashes, for logs and metrics. */
  readonly onCrash?: (crash: { readonly message: string; readonly restartCount: number; readonly final: boolean }) => void;
  /** Told when it runs again after a crash. */
  readonly onUp?: () => void;
}

// A bundle in plain JavaScript (`npm run generate`): stripping the types in each engine costs 20 MB of memory and 30 ms.
const WORKER = fileURLToPath(new URL("../gen/engine-worker.mjs", import.meta.url));
/** An engine allocates little in JavaScript: a small young generation and no helper threads suffice. */
const NODE_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=0"];
const RESTART_DELAY_MS = 200;
const RESTART_DELAY_MS_MAX = 10_000;
const STOP_MS = 2_000;
/** What Node and onnxruntime reserve before there is a model; hardly any of it is ever touched. */
const RESERVED_BYTES = 640 * 1024 ** 2;

const hasPrlimit = lazily(() => spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status === 0);

/**
 * The command before the command that bounds an engine's memory. Allocations beyond it fail, and onnxruntime says so in its
 * answer; the machine does not run out of memory and kills whom it likes. RLIMIT_DATA counts what is allocated, not what is
 * mapped from files.
 */
function memoryLimit(memoryBytesMax: number | undefined): string[] {
  return memoryBytesMax === undefined || !hasPrlimit() ? [] : ["prlimit", `--data=${memoryBytesMax + RESERVED_BYTES}`, "--core=0"];
}

function lazily<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}

const DEFAULTS = {
  intraOpThreads: 1,
  interOpThreads: 1,
  executionProviders: ["cpu"] as readonly string[],
  graphOptimizationLevel: "all" as const,
  prepacking: true,
  memoryArena: true,
  outputBytesMax: 1024 ** 3,
  loadMsMax: 120_000,
  runMsMax: 60_000,
  pendingMax: 1_024,
  restartsMax: 5,
};

interface PendingCall {
  readonly resolve: (answer: { response: EngineResponse & { ok: true }; payload: Uint8Array }) => void;
  readonly reject: (error: StatusError) => void;
}

/** Starts an engine process and loads the model into it. @throws StatusError `MODEL_LOAD_FAILED`, `ENGINE_TIMEOUT`, `ENGINE_CRASHED` */
export async function startEngineProcess(options: EngineProcessOptions): Promise<Engine> {
  const engine = new EngineProcess(options);
  try {
    await engine.start();
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
  return engine;
}

class EngineProcess implements Engine {
  readonly #options: Required<Omit<EngineProcessOptions, "onCrash" | "onUp" | "memoryBytesMax">> & Pick<EngineProcessOptions, "onCrash" | "onUp" | "memoryBytesMax">;
  readonly #pending = new Map<number, PendingCall>();
  #child: ChildProcess | undefined;
  #socket: Socket | undefined;
  #nextId = 1;
  #headTimer: NodeJS.Timeout | undefined;
  #disposed = false;
  #loaded = false;
  #failuresInRow = 0;
  restartCount = 0;

  constructor(options: EngineProcessOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isUp(): boolean {
    return this.#loaded;
  }

  async start(): Promise<void> {
    this.#spawn();
    const { path, intraOpThreads, interOpThreads, executionProviders, graphOptimizationLevel, prepacking, memoryArena, outputBytesMax } = this.#options;
    await this.#call({ op: "load", session: { path, intraOpThreads, interOpThreads, executionProviders, graphOptimizationLevel, prepacking, memoryArena, outputBytesMax } }, [], {});
    this.#loaded = true;
  }

  async run(inputs: readonly EngineInput[], outputs: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    if (!this.#loaded) throw new StatusError("ENGINE_CRASHED", `the engine of ${this.#options.model} died and is started again: call again shortly`);
    const request: EngineRequest = {
      op: "run",
      outputs,
      inputs: inputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, bytes: byteLengthOf(data) })),
      ...(options.deadline === undefined ? {} : { deadlineMs: options.deadline.getTime() }),
    };
    const { response, payload } = await this.#call(request, inputs.map(({ data }) => data), options);
    const [inputNs = 0, inferNs = 0, outputNs = 0] = response.ns ?? [];
    this.#failuresInRow = 0;
    return { outputs: tensorsOf(response.outputs ?? [], payload), timings: { inputNs, inferNs, outputNs } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#loaded = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.#socket?.end();
    // A run in progress cannot be asked to stop.
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await gone;
    clearTimeout(timer);
  }

  #spawn(): void {
    const [command = process.execPath, ...args] = [...memoryLimit(this.#options.memoryBytesMax), process.execPath, ...NODE_FLAGS, WORKER];
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "pipe"], env: childEnvironment(process.env) });
    const socket = child.stdio[3] as Socket;
    const reader = new FrameReader((frame) => this.#settle(frame.id, frame.header as EngineResponse, frame.payload));
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    // A broken pipe is the end of the process, which is told by its exit.
    socket.on("error", () => {});
    child.once("exit", (code, signal) => this.#onExit(child, signal ?? `code ${code}`));
    child.once("error", (error) => this.#onExit(child, error.message));
    this.#child = child;
    this.#socket = socket;
  }

  #call(request: EngineRequest, payload: readonly (Uint8Array | readonly Uint8Array[])[], options: RunOptions): Promise<{ response: EngineResponse & { ok: true }; payload: Uint8Array }> {
    const { signal, deadline } = options;
    if (signal?.aborted === true) return Promise.reject(StatusError.from(signal.reason));
    if (this.#pending.size >= this.#options.pendingMax) {
      return Promise.reject(new StatusError("QUEUE_FULL", `Exceeds maximum queue size: ${this.#options.pendingMax} calls wait for ${this.#options.model}`, { code: "UNAVAILABLE" }));
    }
    const id = this.#nextId++ % 2 ** 32;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => fail(StatusError.from(signal?.reason));
      const timer = deadline === undefined ? undefined : setTimeout(() => fail(new StatusError("DEADLINE_EXCEEDED", "the deadline passed before the model answered")), Math.max(0, deadline.getTime() - Date.now()));
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      // The call ends for its caller; its entry stays, since the process still works on it and I2 must see that.
      const fail = (error: StatusError): void => {
        settle();
        reject(error);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(id, {
        resolve: (answer) => {
          settle();
          resolve(answer);
        },
        reject: fail,
      });
      if (this.#pending.size === 1) this.#watchHead(request.op === "load" ? this.#options.loadMsMax : this.#options.runMsMax);
      const socket = this.#socket;
      socket?.cork();
      for (const part of encodeFrame(id, request, payload)) socket?.write(part);
      socket?.uncork();
    });
  }

  #settle(id: number, response: EngineResponse, payload: Uint8Array): void {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(this.#headTimer);
    if (this.#pending.size > 0) this.#watchHead(this.#options.runMsMax);
    if (call === undefined) return;
    if (response.ok) call.resolve({ response, payload });
    else call.reject(new StatusError(response.reason in REASONS ? (response.reason as Reason) : "INTERNAL", response.message));
  }

  /** I2: the process answers in order, so only the oldest call can be running. */
  #watchHead(limitMs: number): void {
    clearTimeout(this.#headTimer);
    this.#headTimer = setTimeout(() => {
      const [head] = this.#pending;
      if (head === undefined) return;
      const [id, call] = head;
      this.#pending.delete(id);
      call.reject(new StatusError("ENGINE_TIMEOUT", `${this.#options.model} ran longer than ${limitMs / 1000} s and was stopped`));
      this.#child?.kill("SIGKILL");
    }, limitMs);
    this.#headTimer.unref();
  }

  #onExit(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    clearTimeout(this.#headTimer);
    const wasLoaded = this.#loaded;
    this.#loaded = false;
    this.#child = undefined;
    const error = new StatusError("ENGINE_CRASHED", `the engine of ${this.#options.model} died (${how}); it is started again: call again shortly`);
    for (const call of this.#pending.values()) call.reject(error); // I1
    this.#pending.clear();
    // A first load that fails is told to its caller and not repeated.
    if (!this.#disposed && wasLoaded) void this.#restart(how);
  }

  /** I3 */
  async #restart(how: string): Promise<void> {
    while (!this.#disposed) {
      const final = this.#failuresInRow++ >= this.#options.restartsMax;
      this.#options.onCrash?.({ message: how, restartCount: this.restartCount, final });
      if (final) return;
      await delay(Math.min(RESTART_DELAY_MS * 2 ** (this.#failuresInRow - 1), RESTART_DELAY_MS_MAX), undefined, { ref: false });
      if (this.#disposed) return;
      this.restartCount++;
      try {
        await this.start();
        this.#options.onUp?.();
        return;
      } catch {
        // Counted above; the next round waits longer.
      }
    }
  }
}
