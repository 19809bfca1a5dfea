// The common executor: requests wait in a dynamic batcher, batches run on one of the version's engines. A batch is formed on
// the way into the engine: each request's bytes are one part of the engine's input, so they are copied once, by the kernel.

import { StatusError } from "@servable/errors";
import type { Engine, EngineInput, NamedTensor } from "@servable/runtime";
import { DynamicBatcher, type DynamicBatcherOptions, type QueuedRequest } from "@servable/scheduling";
import { afterDelay } from "./after-delay.ts";
import { RowsMissing, splitRows } from "./batch-rows.ts";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { Signature } from "../config/signature.ts";

/** What a batching executor stands on. */
export interface BatchingExecutorOptions {
  readonly model: string;
  readonly signature: Signature;
  readonly batching: DynamicBatcherOptions;
  /** Whether answers leave in the order of their requests. */
  readonly preserveOrdering: boolean;
  /** The model's instances; the executor disposes them. */
  readonly engines: readonly Engine[];
}

interface Job {
  readonly request: InferRequest;
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Answers requests in batches. */
export class BatchingExecutor implements Executor {
  readonly #options: BatchingExecutorOptions;
  readonly #batcher: DynamicBatcher<Job>;
  readonly #engines: readonly Engine[];
  /** Rows of every input are alike: any two requests can share a batch. */
  readonly #hasFixedRows: boolean;
  readonly #batches: boolean;
  /** When each instance's last run ended. */
  readonly #lastEndMs: number[];
  #inOrder: Promise<unknown> = Promise.resolve();

  constructor(options: BatchingExecutorOptions) {
    this.#options = options;
    this.#engines = options.engines;
    this.#batches = options.batching.maxBatchSize > 1;
    this.#hasFixedRows = options.signature.inputs.every(({ shape }) => shape.slice(1).every((dimension) => dimension !== -1));
    this.#lastEndMs = options.engines.map(() => 0);
    this.#batcher = new DynamicBatcher(
      { ...options.batching, instanceCount: options.engines.length },
      {
        nowUs: () => performance.now() * 1_000,
        run: (batch, instance) => this.#run(batch, instance),
        refuse: ({ payload }, error) => payload.reject(error),
        after: afterDelay,
        isUp: (instance) => this.#engines[instance]?.isUp === true,
      },
    );
  }

  get pids(): readonly number[] {
    return this.#engines.map(({ pid }) => pid).filter((pid) => pid !== undefined);
  }

  get restartCount(): number {
    return this.#engines.reduce((sum, { restartCount }) => sum + restartCount, 0);
  }

  get queueLength(): number {
    return this.#batcher.queueLength;
  }

  /** Tells that an engine came up again. */
  wake(): void {
    this.#batcher.wake();
  }

  /** Refuses what waits: no engine will come up again. */
  fail(error: StatusError): void {
    this.#batcher.close(error);
  }

  infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    if (!this.#engines.some(({ isUp }) => isUp)) return Promise.reject(new StatusError("ENGINE_CRASHED", `the engine of ${this.#options.model} died and is started again: call again shortly`));
    const answer = this.#submit(request, context);
    if (!this.#options.preserveOrdering) return answer;
    const inOrder = this.#inOrder.then(() => answer);
    this.#inOrder = inOrder.catch(() => {}); // An answer that failed holds nobody up.
    return inOrder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#batcher.close(new StatusError("MODEL_NOT_READY", `${this.#options.model} is being unloaded`));
    await Promise.all(this.#engines.map((engine) => engine[Symbol.asyncDispose]()));
  }

  #submit(request: InferRequest, context: InferContext): Promise<InferResult> {
    const { deadline } = context;
    const signal = context.cancellation ?? context.signal;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(StatusError.from(signal.reason));
        return;
      }
      const settle = (): void => signal.removeEventListener("abort", onAbort);
      const onAbort = (): void => {
        this.#batcher.cancel(queued);
        reject(StatusError.from(signal.reason));
      };
      const queued = this.#batcher.submit({
        payload: {
          request,
          resolve: (result) => {
            settle();
            resolve(result);
          },
          reject: (error) => {
            settle();
            reject(StatusError.from(error));
          },
        },
        size: this.#batches ? rowsOf(request) : 1,
        group: this.#groupOf(request),
        priority: request.priority,
        deadlineUs: deadline === undefined ? Number.POSITIVE_INFINITY : (performance.now() + deadline.getTime() - Date.now()) * 1_000,
        timeoutUs: request.queueTimeoutUs,
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Requests of one group can be stacked: the same inputs with rows of the same shape. */
  #groupOf({ inputs }: InferRequest): string {
    if (this.#hasFixedRows && inputs.length === this.#options.signature.inputs.length) return "";
    return inputs.map(({ name, shape }) => `${name}:${(this.#batches ? shape.slice(1) : shape).join("x")}`).join(" ");
  }

  async #run(batch: readonly QueuedRequest<Job>[], instance: number): Promise<{ runUs: number } | undefined> {
    const engine = this.#engines[instance] as Engine;
    const formedMs = performance.now();
    try {
      const results = await this.#runTogether(engine, batch);
      const endMs = performance.now();
      // A batch that stood ready behind another one began when that one ended.
      const startMs = Math.max(formedMs, this.#lastEndMs[instance] ?? 0);
      this.#lastEndMs[instance] = endMs;
      const { timings, executedBatchSize } = results;
      const inputNs = Math.max(0, (endMs - startMs) * 1_000_000 - timings.inferNs - timings.outputNs);
      for (const [index, { payload, enqueuedUs }] of batch.entries()) {
        const queueNs = Math.max(0, startMs * 1_000_000 - enqueuedUs * 1_000);
        payload.resolve({ outputs: results.outputs[index] ?? [], timings: { queueNs, inputNs, inferNs: timings.inferNs, outputNs: timings.outputNs, executedBatchSize, countsExecution: index === 0 } });
      }
      return { runUs: (endMs - startMs) * 1_000 };
    } catch (error) {
      if (error instanceof RowsMissing) this.#batcher.stopBatching();
      if (batch.length > 1 && error instanceof StatusError && error.reason === "INFERENCE_FAILED") await this.#runAlone(engine, batch);
      else for (const { payload } of batch) payload.reject(error);
      return undefined;
    }
  }

  async #runTogether(engine: Engine, batch: readonly QueuedRequest<Job>[]) {
    const requests = batch.map(({ payload }) => payload.request);
    const sizes = batch.map(({ size }) => size);
    const executedBatchSize = this.#batches ? sizes.reduce((sum, size) => sum + size, 0) : (requests[0]?.batchSize ?? 1);
    const { outputs, timings } = await engine.run(stack(requests, executedBatchSize), wantedOutputs(requests));
    const perRequest = requests.length === 1 ? [outputs] : splitRows(outputs, sizes);
    return { outputs: perRequest.map((each, index) => only(each, requests[index]?.outputs ?? [])), timings, executedBatchSize };
  }

  /** One bad request must not fail its neighbours: each runs by itself. */
  async #runAlone(engine: Engine, batch: readonly QueuedRequest<Job>[]): Promise<void> {
    for (const each of batch) {
      const { payload, enqueuedUs } = each;
      const startMs = performance.now();
      try {
        const { outputs, timings, executedBatchSize } = await this.#runTogether(engine, [each]);
        payload.resolve({ outputs: outputs[0] ?? [], timings: { ...timings, queueNs: startMs * 1_000_000 - enqueuedUs * 1_000, executedBatchSize, countsExecution: true } });
      } catch (error) {
        payload.reject(error);
      }
    }
  }
}

/** The inputs of several requests, one behind the other along the first axis. */
function stack(requests: readonly InferRequest[], rows: number): readonly EngineInput[] {
  const [first] = requests;
  if (first === undefined || requests.length === 1) return first?.inputs ?? [];
  return first.inputs.map(({ name, datatype, shape }, index) => ({ name, datatype, shape: [rows, ...shape.slice(1)], data: requests.map(({ inputs }) => (inputs[index] as NamedTensor).data) }));
}

/** All outputs when anybody wants all, else those that somebody wants. */
function wantedOutputs(requests: readonly InferRequest[]): readonly string[] {
  const [first] = requests;
  if (requests.length === 1) return first?.outputs ?? [];
  if (requests.some(({ outputs }) => outputs.length === 0)) return [];
  return [...new Set(requests.flatMap(({ outputs }) => outputs))];
}

function only(outputs: readonly NamedTensor[], names: readonly string[]): readonly NamedTensor[] {
  return names.length === 0 ? outputs : names.map((name) => outputs.find((output) => output.name === name) as NamedTensor);
}

function rowsOf({ inputs }: InferRequest): number {
  return Math.max(1, inputs[0]?.shape[0] ?? 1);
}
