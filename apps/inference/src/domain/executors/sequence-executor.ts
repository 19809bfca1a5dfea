// Answers requests that belong to sequences. onnxruntime remembers nothing between runs, so what a model carries from one
// request to the next are its states: tensors that the server keeps for each sequence, feeds to the next run and takes from
// its outputs. They never travel to the caller, and they outlive an engine's crash.
//
// I1  A sequence's state is that of its last successful run: a request that fails leaves it as it was and may be sent again.
// I2  State is written before the answer is told, so whoever has the answer may count on it.
// I3  A request that is cancelled before its answer ends its sequence: nobody could say whether the state has it.

import { StatusError } from "@servable/errors";
import type { Engine, EngineInput, NamedTensor } from "@servable/runtime";
import { SequenceBatcher, type Sequence, type SequenceBatch, type SequenceRequest } from "@servable/scheduling";
import { splitAxis, type Tensor } from "@servable/tensor";
import { afterDelay } from "./after-delay.ts";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { Signature } from "../config/signature.ts";
import { controlTensor } from "./sequence-controls.ts";
import { zerosOf, type SequenceSettings } from "../config/sequence-settings.ts";

/** What a sequence executor stands on. */
export interface SequenceExecutorOptions {
  readonly model: string;
  /** 0 = the model does not batch: each run has one sequence. */
  readonly maxBatchSize: number;
  /** What callers send and get: without controls and states. */
  readonly signature: Signature;
  readonly settings: SequenceSettings;
  /** The model's instances; the executor disposes them. */
  readonly engines: readonly Engine[];
}

/** Requests of one sequence that may wait. */
const QUEUED_PER_SEQUENCE_MAX = 1_024;

interface Job {
  readonly request: InferRequest;
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: unknown) => void;
}

type Row = SequenceRequest<Job> | undefined;

/** Answers requests of sequences, each sequence in its order. */
export class SequenceExecutor implements Executor {
  readonly #options: SequenceExecutorOptions;
  readonly #batcher: SequenceBatcher<Job>;
  /** States of the sequences that have run, by input, each without the batch dimension. */
  readonly #states = new WeakMap<Sequence<Job>, ReadonlyMap<string, Tensor>>();

  constructor(options: SequenceExecutorOptions) {
    this.#options = options;
    const { model, settings, engines } = options;
    const { slotsPerInstance, maxIdleUs, sequencesMax, strategy } = settings;
    this.#batcher = new SequenceBatcher<Job>(
      { model, instanceCount: engines.length, slotsPerInstance, maxIdleUs, sequencesMax, queuedPerSequenceMax: QUEUED_PER_SEQUENCE_MAX, strategy },
      {
        nowUs: () => performance.now() * 1_000,
        run: (batch, instance) => this.#run(batch, engines[instance] as Engine),
        refuse: ({ payload }, error) => payload.reject(error),
        after: afterDelay,
        groupOf: (request) => this.#groupOf(request),
      },
    );
  }

  get pids(): readonly number[] {
    return this.#options.engines.map(({ pid }) => pid).filter((pid) => pid !== undefined);
  }

  get restartCount(): number {
    return this.#options.engines.reduce((sum, { restartCount }) => sum + restartCount, 0);
  }

  get queueLength(): number {
    return this.#batcher.queueLength;
  }

  /** Sequences in progress. */
  get sequenceCount(): number {
    return this.#batcher.sequenceCount;
  }

  /** Whether a sequence goes on here. */
  holdsSequence(id: string): boolean {
    return this.#batcher.has(id);
  }

  /** @throws StatusError `SEQUENCE_ID_REQUIRED`, `SEQUENCE_NOT_STARTED`, `SEQUENCE_ABORTED`, `SHAPE_MISMATCH`, `QUEUE_FULL`, `FIELD_INVALID` */
  infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const signal = context.cancellation ?? context.signal;
    // Nothing is awaited before the request stands in line: requests of a stream enter in the order of these calls.
    return new Promise((resolve, reject) => {
      const { id, start, end } = this.#placeOf(request);
      if (signal.aborted) throw StatusError.from(signal.reason);
      const settle = <T>(how: (value: T) => void) => (value: T): void => {
        signal.removeEventListener("abort", onAbort);
        how(value);
      };
      const queued = this.#batcher.submit({ id, start, end, payload: { request, resolve: settle(resolve), reject: settle(reject) } });
      const onAbort = (): void => {
        reject(StatusError.from(signal.reason));
        this.#batcher.cancel(queued); // I3
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#batcher.close(new StatusError("MODEL_NOT_READY", `${this.#options.model} is being unloaded`));
    await Promise.all(this.#options.engines.map((engine) => engine[Symbol.asyncDispose]()));
  }

  get #isBatched(): boolean {
    return this.#options.maxBatchSize > 0;
  }

  /** Triton's words. */
  #placeOf({ batchSize, sequence }: InferRequest) {
    const { model, settings } = this.#options;
    if (batchSize > 1) throw new StatusError("SHAPE_MISMATCH", `inference request to model '${model}' must specify batch-size 1 due to requirements of sequence batcher`);
    if (sequence === undefined) throw new StatusError("SEQUENCE_ID_REQUIRED", `inference request to model '${model}' must specify a non-zero or non-empty correlation ID`, { metadata: { field: "parameters.sequence_id" } });
    // An id that the model cannot take is refused before it costs anybody a batch.
    for (const control of settings.controls) if (control.kind === "id") controlTensor(control, [sequence], this.#isBatched);
    return sequence;
  }

  /** Requests can share a batch when all their rows have one shape; grown states count. */
  #groupOf(request: SequenceRequest<Job>): string {
    const inputs = request.payload.request.inputs.map(({ name, shape }) => `${name}:${(this.#isBatched ? shape.slice(1) : shape).join("x")}`);
    return [...inputs, ...[...this.#statesBefore(request).values()].map(({ shape }) => shape.join("x"))].join(" ");
  }

  /** States that a request finds; START finds the initial ones. */
  #statesBefore({ sequence, start }: SequenceRequest<Job>): ReadonlyMap<string, Tensor> {
    return (start ? undefined : this.#states.get(sequence)) ?? new Map(this.#options.settings.states.map(({ inputName, initial }) => [inputName, initial]));
  }

  async #run(batch: SequenceBatch<Job>, engine: Engine): Promise<void> {
    const ready = batch.filter((row) => row !== undefined);
    for (const { sequence, start } of ready) if (start) this.#states.delete(sequence);
    try {
      await this.#runTogether(batch, engine);
    } catch (error) {
      const isShared = ready.length > 1 && error instanceof StatusError && error.reason === "INFERENCE_FAILED";
      if (!isShared) for (const { payload } of ready) payload.reject(error); // I1
      // One bad request must not fail its neighbours: each runs by itself, in its own row.
      else for (const request of ready) await this.#run(batch.map((row) => (row === request ? row : undefined)), engine);
    }
  }

  async #runTogether(rows: readonly Row[], engine: Engine): Promise<void> {
    const ready = rows.filter((row) => row !== undefined);
    const startMs = performance.now();
    const { outputs, timings } = await engine.run(this.#inputsOf(rows), this.#wantedOutputs(ready));
    const inputNs = Math.max(0, (performance.now() - startMs) * 1_000_000 - timings.inferNs - timings.outputNs);
    const outputsOfRows = this.#rowsOf(outputs, rows.length);
    for (const [index, row] of rows.entries()) {
      if (row === undefined) continue;
      const own = outputsOfRows[index] ?? [];
      this.#keepStates(row.sequence, own); // I2
      row.payload.resolve({
        outputs: this.#publicOutputs(own, row.payload.request.outputs),
        timings: { queueNs: startMs * 1_000_000 - row.enqueuedUs * 1_000, inputNs, inferNs: timings.inferNs, outputNs: timings.outputNs, executedBatchSize: rows.length, countsExecution: row === ready[0] },
      });
    }
  }

  #inputsOf(rows: readonly Row[]): EngineInput[] {
    const first = rows.find((row) => row !== undefined);
    if (first === undefined) throw new TypeError("a batch has at least one row that is ready");
    const { controls, states } = this.#options.settings;
    const stack = (name: string, example: Tensor, dataOf: (row: SequenceRequest<Job>) => Uint8Array): EngineInput => {
      const zeros = zerosOf(example.datatype, example.shape);
      return { name, datatype: example.datatype, shape: this.#isBatched ? [rows.length, ...example.shape] : example.shape, data: rows.map((row) => (row === undefined ? zeros : dataOf(row))) };
    };
    const rowShape = (shape: readonly number[]): readonly number[] => (this.#isBatched ? shape.slice(1) : shape);
    const stateOf = (row: SequenceRequest<Job>, name: string): Tensor => this.#statesBefore(row).get(name) as Tensor;
    return [
      ...first.payload.request.inputs.map((input, index) => stack(input.name, { ...input, shape: rowShape(input.shape) }, ({ payload }) => (payload.request.inputs[index] as NamedTensor).data)),
      ...controls.map((control) => controlTensor(control, rows.map((row) => row?.payload.request.sequence), this.#isBatched)),
      ...states.map(({ inputName }) => stack(inputName, stateOf(first, inputName), (row) => stateOf(row, inputName).data)),
    ];
  }

  #wantedOutputs(requests: readonly SequenceRequest<Job>[]): string[] {
    const { signature, settings } = this.#options;
    const asked = requests.flatMap(({ payload }) => (payload.request.outputs.length > 0 ? payload.request.outputs : signature.outputs.map(({ name }) => name)));
    return [...new Set([...asked, ...settings.states.map(({ outputName }) => outputName)])];
  }

  #rowsOf(outputs: readonly NamedTensor[], count: number): NamedTensor[][] {
    if (!this.#isBatched) return [[...outputs]];
    const rows: NamedTensor[][] = Array.from({ length: count }, () => []);
    for (const output of outputs) {
      if (output.shape[0] !== count) throw new StatusError("INFERENCE_FAILED", `output '${output.name}' has the shape [${output.shape.join(",")}] for a batch of ${count}: the model does not batch; leave max_batch_size out`);
      for (const [row, part] of splitAxis(output, 0, rows.map(() => 1)).entries()) rows[row]?.push({ name: output.name, ...part });
    }
    return rows;
  }

  #keepStates(sequence: Sequence<Job>, outputs: readonly NamedTensor[]): void {
    const { states } = this.#options.settings;
    if (states.length === 0) return;
    const next = states.map(({ inputName, outputName }) => {
      const { datatype, shape, data } = outputs.find(({ name }) => name === outputName) as NamedTensor;
      // Copied: a view would keep the whole batch's memory for as long as the sequence lives.
      return [inputName, { datatype, shape: this.#isBatched ? shape.slice(1) : shape, data: Uint8Array.from(data) }] as const;
    });
    this.#states.set(sequence, new Map(next));
  }

  #publicOutputs(outputs: readonly NamedTensor[], asked: readonly string[]): NamedTensor[] {
    const names = asked.length > 0 ? asked : this.#options.signature.outputs.map(({ name }) => name);
    return names.map((name) => outputs.find((output) => output.name === name) as NamedTensor);
  }
}
