import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import { InferStats, type FailureReason, type InferObservation } from "./infer-stats.ts";
import { clientSignatureOf, type Signature } from "./model-config.ts";
import { madeInputsOf } from "./padding-rules.ts";
import { isPipeline } from "./pipeline-config.ts";
import { requestTargetOf, type RequestTarget } from "./request-target.ts";

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

/** Told of each request that has ended, within the request's own trace. */
export type InferObserver = (model: LoadedModel, observation: InferObservation) => void;

/** One version in this replica: what answers its requests, its state and its counters. */
export class LoadedModel {
  readonly spec: VersionSpec;
  readonly stats = new InferStats();
  /** What requests are checked against. */
  target: RequestTarget;
  state: ModelState = "LOADING";
  message = "";
  executor: Executor | undefined;
  /** Where the version's files lie; "" until they were fetched. */
  folder = "";
  /** Names of the classes by output. */
  labels: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #observe: InferObserver;
  #inFlight = 0;
  #idle: (() => void) | undefined;

  constructor(spec: VersionSpec, observe: InferObserver) {
    this.spec = spec;
    this.target = requestTargetOf(spec.name, spec.version, callerSignatureOf(spec), spec.config, madeInputsOf(spec.config));
    this.#observe = observe;
  }

  /** Requests being answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Runs a checked request. @throws StatusError `MODEL_NOT_READY` and what the executor raises */
  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const executor = this.#begin();
    const started = performance.now();
    try {
      const result = await executor.infer(request, context);
      this.#end({ ok: true, batchSize: request.batchSize, totalNs: nanosecondsSince(started), timings: result.timings, request, result });
      return result;
    } catch (error) {
      this.#end({ ok: false, batchSize: request.batchSize, totalNs: nanosecondsSince(started), reason: failureReason(error) });
      throw error;
    }
  }

  /** Runs a checked request of a decoupled model: any number of answers. @throws StatusError `MODEL_NOT_READY` and what the executor raises */
  async *inferStream(request: InferRequest, context: InferContext): AsyncGenerator<InferResult> {
    const executor = this.#begin();
    const started = performance.now();
    let timings = { queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, executedBatchSize: request.batchSize, countsExecution: true };
    let failure: unknown;
    let isDone = false;
    try {
      for await (const result of executor.inferStream === undefined ? [await executor.infer(request, context)] : executor.inferStream(request, context)) {
        timings = { ...result.timings };
        yield result;
      }
      isDone = true;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      const totalNs = nanosecondsSince(started);
      this.#end(isDone ? { ok: true, batchSize: request.batchSize, totalNs, timings } : { ok: false, batchSize: request.batchSize, totalNs, reason: failure === undefined ? "CANCELED" : failureReason(failure) });
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
    await this.executor?.[Symbol.asyncDispose]();
    this.executor = undefined;
  }

  #begin(): Executor {
    const { executor } = this;
    if (this.state !== "READY" || executor === undefined) {
      throw new StatusError("MODEL_NOT_READY", `Request for unknown model: '${this.spec.name}' version ${this.spec.version} is not ready (${this.state}${this.message === "" ? "" : `: ${this.message}`})`);
    }
    this.#inFlight++;
    return executor;
  }

  #end(observation: InferObservation): void {
    this.stats.observe(observation, Date.now());
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idle?.();
    this.#observe(this, observation);
  }
}

/** Controls and states of sequences are no business of callers, and a pipeline has no graph of its own. */
function callerSignatureOf({ signature, config }: VersionSpec): Signature {
  return config.schedulingChoice.case === "sequenceBatching" || isPipeline(config) ? clientSignatureOf(config) : signature;
}

function nanosecondsSince(startedMs: number): number {
  return (performance.now() - startedMs) * 1_000_000;
}

function failureReason(error: unknown): FailureReason {
  if (!(error instanceof StatusError)) return "OTHER";
  switch (error.reason) {
    case "QUEUE_FULL":
    case "REQUEST_TIMEOUT":
    case "DEADLINE_EXCEEDED":
      return "REJECTED";
    case "CANCELLED":
      return "CANCELED";
    case "INFERENCE_FAILED":
    case "ENGINE_CRASHED":
    case "ENGINE_TIMEOUT":
      return "BACKEND";
    default:
      return "OTHER";
  }
}
