import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Executor, InferContext, InferRequest, InferResult, InferTimings } from "../executors/executor.ts";
import { InferStats, type FailureReason, type InferObservation } from "../requests/infer-stats.ts";
import { clientSignatureOf } from "../config/model-config.ts";
import type { Signature } from "../config/signature.ts";
import { madeInputsOf } from "../config/padding-rules.ts";
import type { ResponseOutcome } from "../requests/response-stats.ts";
import { requestTargetOf, type RequestTarget } from "../requests/request-target.ts";

/**
 * LOADING → READY → UNLOADING; LOADING → FAILED; READY → FAILED when the engine stays down; READY → IDLE when its memory is
 * needed, IDLE → LOADING at the next call.
 */
export type ModelState = "LOADING" | "READY" | "IDLE" | "FAILED" | "UNLOADING";

/** How often a version on its way out looks whether its sequences have ended. */
const SEQUENCE_LOOK_MS = 50;

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
  /** Brings an idle model back into memory; absent while it has never been idle. */
  wake: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** What it takes in memory: an estimate at first, then measured. */
  footprintBytes = 0;
  /** When a request last came; 0 = never. */
  lastUsedMs = 0;
  readonly #observe: InferObserver;
  #inFlight = 0;
  #idle: (() => void) | undefined;

  constructor(spec: VersionSpec, observe: InferObserver) {
    this.spec = spec;
    this.target = requestTargetOf(spec.name, spec.version, clientSignatureOf(spec.config, spec.signature), spec.config, madeInputsOf(spec.config));
    this.#observe = observe;
  }

  /** Requests being answered, or waiting until the model is back in memory. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether a call is answered, if need be after a load. */
  get isServing(): boolean {
    return this.state === "READY" || this.state === "IDLE" || (this.state === "LOADING" && this.wake !== undefined);
  }

  /** Whether a sequence goes on here, also while the version is on its way out. */
  holdsSequence(id: string): boolean {
    return this.executor?.holdsSequence?.(id) === true;
  }

  /** Runs a checked request. @throws StatusError `MODEL_NOT_READY` and what the executor raises */
  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const started = performance.now();
    const executor = this.#begin(started, request) ?? (await this.#beginAwake(context));
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
    const started = performance.now();
    const executor = this.#begin(started, request) ?? (await this.#beginAwake(context));
    let timings: InferTimings | undefined;
    let [answerCount, answeredMs] = [0, started];
    const observeAnswer = (outcome: ResponseOutcome, own?: InferTimings): void => {
      this.stats.responses.observe(answerCount, outcome, nanosecondsSince(answeredMs), own);
      answeredMs = performance.now();
    };
    let failure: unknown;
    let isDone = false;
    try {
      for await (const result of executor.inferStream === undefined ? [await executor.infer(request, context)] : executor.inferStream(request, context)) {
        timings = timings === undefined ? result.timings : sumOf(timings, result.timings);
        observeAnswer(result.outputs.length === 0 ? "emptyResponse" : "success", result.timings);
        answerCount++;
        yield result;
      }
      isDone = true;
    } catch (error) {
      failure = error;
      observeAnswer(failureReason(error) === "CANCELED" ? "cancel" : "fail");
      throw error;
    } finally {
      if (!isDone && failure === undefined) observeAnswer("cancel");
      const totalNs = nanosecondsSince(started);
      this.#end(isDone ? { ok: true, batchSize: request.batchSize, totalNs, timings: timings ?? NO_ANSWER } : { ok: false, batchSize: request.batchSize, totalNs, reason: failure === undefined ? "CANCELED" : failureReason(failure) });
    }
  }

  /** Takes no new requests, lets those in flight and sequences in progress end (for at most `drainMs`), then frees the engine. */
  async unload(drainMs: number): Promise<void> {
    this.state = "UNLOADING";
    const untilMs = performance.now() + drainMs;
    for (;;) {
      const leftMs = untilMs - performance.now();
      const hasSequences = (this.executor?.sequenceCount ?? 0) > 0;
      if (leftMs <= 0 || (this.#inFlight === 0 && !hasSequences)) break;
      await new Promise<void>((resolve) => {
        // An idle sequence ends without telling anybody.
        const timer = setTimeout(resolve, hasSequences ? Math.min(leftMs, SEQUENCE_LOOK_MS) : leftMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await this.executor?.[Symbol.asyncDispose]();
    this.executor = undefined;
  }

  /** Leaves memory without a drain: only for a READY model without requests. Calls find it IDLE at once. */
  async evict(): Promise<void> {
    const { executor } = this;
    this.state = "IDLE";
    this.executor = undefined;
    await executor?.[Symbol.asyncDispose]();
  }

  /** Holds the model and answers its executor; `undefined` when it must be woken first. */
  #begin(nowMs: number, { sequence }: InferRequest): Executor | undefined {
    this.lastUsedMs = performance.timeOrigin + nowMs;
    const goesOn = this.state === "UNLOADING" && sequence?.start === false && this.holdsSequence(sequence.id);
    if ((this.state !== "READY" && !goesOn) || this.executor === undefined) return undefined;
    this.#inFlight++;
    return this.executor;
  }

  /** The same after a load. The request holds the model meanwhile, so that what was loaded for it is there for it. */
  async #beginAwake(context: InferContext): Promise<Executor> {
    if (!this.isServing || this.wake === undefined) throw this.#notReady();
    this.#inFlight++;
    try {
      await this.wake(context.signal);
      if (this.state !== "READY" || this.executor === undefined) throw this.#notReady();
      return this.executor;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #notReady(): StatusError {
    return new StatusError("MODEL_NOT_READY", `Request for unknown model: '${this.spec.name}' version ${this.spec.version} is not ready (${this.state}${this.message === "" ? "" : `: ${this.message}`})`);
  }

  #release(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idle?.();
  }

  #end(observation: InferObservation): void {
    this.stats.observe(observation, Date.now());
    this.#release();
    this.#observe(this, observation);
  }
}

/** A request that got no answer ran all the same. */
const NO_ANSWER: InferTimings = { queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, executedBatchSize: 1, countsExecution: true };

/** The times of all answers to one request. */
function sumOf(a: InferTimings, b: InferTimings): InferTimings {
  return { queueNs: a.queueNs + b.queueNs, inputNs: a.inputNs + b.inputNs, inferNs: a.inferNs + b.inferNs, outputNs: a.outputNs + b.outputNs, executedBatchSize: a.executedBatchSize, countsExecution: a.countsExecution || b.countsExecution };
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
