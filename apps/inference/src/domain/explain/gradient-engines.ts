// The graph of gradients of a version is built on the first question and runs in an engine of its own, so that explanations
// never make the model's own requests wait inside an engine. Both cost memory; so there are few of them and they go when
// nobody has asked for a while.
//
// I1  At most `enginesMax` engines live; the one that was idle for longest makes room, a busy one never does.
// I2  An engine without a user ends after `idleMs`.
// I3  A graph that cannot be built is remembered with its reason, and not tried with every request.

import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "@servable/config";
import { StatusError } from "@servable/errors";
import type { IntegratedGradientsGraph } from "@servable/explain";
import type { Engine, EngineProcessOptions } from "@servable/runtime";
import type { GradientGraphAnswer, GradientGraphJob } from "../../worker/build-gradient-graph.ts";

/** What engines of gradients stand on. */
export interface GradientEnginesOptions {
  readonly startEngine: (options: EngineProcessOptions) => Promise<Engine>;
  readonly intraOpThreads: number;
  readonly runMsMax: number;
  /** Memory of one engine; undefined = not bounded. */
  readonly memoryBytesMax?: number | undefined;
  /** Engines at the same time. @default 2 */
  readonly enginesMax?: number;
  /** How long an engine may be idle. @default 60000 */
  readonly idleMs?: number;
}

/** Which graph is meant. */
export type GradientGraphSpec = Omit<GradientGraphJob, "path"> & { readonly model: string };

/** A graph and what runs it. */
export interface GradientEngine {
  readonly graph: IntegratedGradientsGraph;
  readonly engine: Engine;
  /** Points of the path that fit in one run. */
  readonly pointsPerRunMax: number;
}

interface Held {
  readonly opened: Promise<GradientEngine>;
  users: number;
  timer: NodeJS.Timeout | undefined;
}

const WORKER = fileURLToPath(new URL("../../worker/build-gradient-graph.ts", import.meta.url));
const BUILD_MS_MAX = 120_000;
const BUILD_HEAP_MIB = 4_096;
const REASONS_MAX = 256;
const POINTS_MAX = 16;
/** Activations of all points of a run live at once; they grow with the weights, and with a picture's size. */
const RUN_BYTES = 64 * 1024 ** 2;

/** Engines of gradients, opened on demand. */
export class GradientEngines implements AsyncDisposable {
  readonly #options: Required<Omit<GradientEnginesOptions, "memoryBytesMax">> & Pick<GradientEnginesOptions, "memoryBytesMax">;
  readonly #held = new Map<string, Held>();
  readonly #refused = new Map<string, string>();

  constructor(options: GradientEnginesOptions) {
    this.#options = { enginesMax: 2, idleMs: 60_000, ...options };
  }

  /** Process ids of the engines that live. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Does work with the engine of a graph.
   *
   * @throws StatusError `EXPLANATION_UNSUPPORTED` saying why there is no such graph, `QUEUE_FULL` while all engines are busy
   */
  async use<T>(spec: GradientGraphSpec, work: (engine: GradientEngine) => Promise<T>): Promise<T> {
    const key = JSON.stringify([spec.folder, spec.output, spec.inputs, spec.batched]);
    const reason = this.#refused.get(key);
    if (reason !== undefined) throw unsupported(reason); // I3
    const held = this.#held.get(key) ?? this.#open(key, spec);
    held.users++;
    clearTimeout(held.timer);
    try {
      const opened = await held.opened;
      return await work(opened);
    } finally {
      held.users--;
      if (held.users === 0) this.#release(key, held);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#held].map(([key, held]) => this.#close(key, held)));
  }

  #open(key: string, spec: GradientGraphSpec): Held {
    if (this.#held.size >= this.#options.enginesMax) {
      const idle = [...this.#held].find(([, { users }]) => users === 0);
      if (idle === undefined) throw new StatusError("QUEUE_FULL", `${this.#options.enginesMax} models are being explained: call again shortly`, { code: "UNAVAILABLE" });
      void this.#close(...idle); // I1
    }
    const held: Held = { opened: this.#start(spec), users: 0, timer: undefined };
    this.#held.set(key, held);
    held.opened.catch((error: unknown) => {
      if (this.#held.get(key) === held) this.#held.delete(key);
      if (!(error instanceof StatusError) || error.reason !== "EXPLANATION_UNSUPPORTED") return;
      const [oldest] = this.#refused.keys();
      if (this.#refused.size >= REASONS_MAX && oldest !== undefined) this.#refused.delete(oldest);
      this.#refused.set(key, error.message);
    });
    return held;
  }

  /** I2; the last one used becomes the last one to make room. */
  #release(key: string, held: Held): void {
    if (this.#held.get(key) !== held) return;
    this.#held.delete(key);
    this.#held.set(key, held);
    held.timer = setTimeout(() => void this.#close(key, held), this.#options.idleMs);
    held.timer.unref();
  }

  async #close(key: string, held: Held): Promise<void> {
    clearTimeout(held.timer);
    if (this.#held.get(key) === held) this.#held.delete(key);
    // What failed to open has nothing to close.
    await held.opened.then(({ engine }) => engine[Symbol.asyncDispose](), () => undefined);
  }

  async #start({ model, ...spec }: GradientGraphSpec): Promise<GradientEngine> {
    const directory = await mkdtemp(join(tmpdir(), "servable-gradients-"));
    try {
      const path = join(directory, `${randomUUID()}.onnx`);
      const answer = await buildGraph({ ...spec, path });
      if (!answer.ok) throw unsupported(answer.message);
      const engine = await this.#options.startEngine({ path, model: `gradients of ${model}`, intraOpThreads: this.#options.intraOpThreads, runMsMax: this.#options.runMsMax, memoryBytesMax: this.#options.memoryBytesMax }).catch((error: unknown) => {
        // onnxruntime knows better than the rules: what it refuses has no gradient here.
        if (error instanceof StatusError && error.reason === "MODEL_LOAD_FAILED") throw unsupported(`the graph of gradients cannot be run: ${error.message}`);
        throw error;
      });
      const { size } = await stat(path);
      return { graph: { ...answer.graph, bytes: new Uint8Array() }, engine, pointsPerRunMax: Math.min(POINTS_MAX, Math.max(1, Math.floor(RUN_BYTES / size))) };
    } finally {
      // The engine has read it.
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** Points of the path in one run for an example of so many elements. */
export function pointsFor({ pointsPerRunMax }: GradientEngine, elements: number): number {
  return Math.max(1, Math.min(pointsPerRunMax, Math.floor(RUN_BYTES / (400 * Math.max(elements, 1)))));
}

function buildGraph(job: GradientGraphJob): Promise<GradientGraphAnswer> {
  return new Promise((resolve, reject) => {
    const child = fork(WORKER, [JSON.stringify(job)], { env: childEnvironment(process.env), execArgv: [`--max-old-space-size=${BUILD_HEAP_MIB}`], timeout: BUILD_MS_MAX, killSignal: "SIGKILL" });
    child.once("message", (answer: GradientGraphAnswer) => resolve(answer));
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(unsupported(`its graph of gradients could not be built (${signal ?? `code ${code}`})`)));
  });
}

/** What the method cannot do with this model. */
export function unsupported(why: string): StatusError {
  return new StatusError("EXPLANATION_UNSUPPORTED", why);
}
