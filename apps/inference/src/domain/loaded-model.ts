import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Engine, NamedTensor, RunOptions } from "@servable/runtime";
import type { CheckedRequest } from "./infer-request.ts";
import { InferStats } from "./infer-stats.ts";
import type { Signature } from "./model-config.ts";

/** LOADING → READY → UNLOADING; LOADING → FAILED; READY → FAILED when the engine stays down. */
export type ModelState = "LOADING" | "READY" | "FAILED" | "UNLOADING";

/** What a version is, before anything is loaded. */
export interface VersionSpec {
  /** "projects/{project}/deployments/{deployment}". */
  readonly deployment: string;
  /** The name that callers say. */
  readonly name: string;
  readonly version: number;
  readonly etag: string;
  readonly signature: Signature;
  readonly config: ModelConfig;
}

/** Told of each answered request. */
export type InferObserver = (model: LoadedModel, ok: boolean, totalNs: bigint) => void;

/** One version in this replica: its engine, its state and its counters. */
export class LoadedModel {
  readonly spec: VersionSpec;
  readonly stats = new InferStats();
  state: ModelState = "LOADING";
  message = "";
  engine: Engine | undefined;
  readonly #observe: InferObserver;
  #inFlight = 0;
  #idle: (() => void) | undefined;

  constructor(spec: VersionSpec, observe: InferObserver) {
    this.spec = spec;
    this.#observe = observe;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Runs a checked request. @throws StatusError `MODEL_NOT_READY` and what the engine raises */
  async infer(request: CheckedRequest, options: RunOptions): Promise<NamedTensor[]> {
    const { engine } = this;
    if (this.state !== "READY" || engine === undefined) {
      throw new StatusError("MODEL_NOT_READY", `Request for unknown model: '${this.spec.name}' version ${this.spec.version} is not ready (${this.state}${this.message === "" ? "" : `: ${this.message}`})`);
    }
    const started = process.hrtime.bigint();
    this.#inFlight++;
    let ok = false;
    try {
      const { outputs, timings } = await engine.run(request.inputs, request.outputs, options);
      ok = true;
      const totalNs = process.hrtime.bigint() - started;
      const computeNs = timings.inputNs + timings.inferNs + timings.outputNs;
      this.stats.observe({ ok, batchSize: request.batchSize, totalNs, queueNs: totalNs > computeNs ? totalNs - computeNs : 0n, ...timings }, Date.now());
      return outputs;
    } catch (error) {
      this.stats.observe({ ok, batchSize: request.batchSize, totalNs: process.hrtime.bigint() - started, queueNs: 0n, inputNs: 0n, inferNs: 0n, outputNs: 0n }, Date.now());
      throw error;
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) this.#idle?.();
      this.#observe(this, ok, process.hrtime.bigint() - started);
    }
  }

  /** Takes no new requests, lets those in flight end (for at most `drainMs`), then frees the engine. */
  async unload(drainMs: number): Promise<void> {
    this.state = "UNLOADING";
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, drainMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await this.engine?.[Symbol.asyncDispose]();
    this.engine = undefined;
  }
}
