// Runs ensembles: each step as soon as its inputs are there, side by side where the flow allows, through the same door as a
// caller's request, so that steps are batched with everybody else's requests. Tensors are handed on by reference.
//
// A decoupled step answers any number of times; what depends on it runs once for each of its answers, and the ensemble answers
// as often, in the order of that step's answers.

import { StatusError } from "@servable/errors";
import type { Tensor } from "@servable/tensor";
import { PipelineTimings, callStep, renamed, streamStep, type StepCall } from "./call-step.ts";
import { reads, readersOf, type EnsembleStep } from "./ensemble-plan.ts";
import { withSignal, type Executor, type InferContext, type InferRequest, type InferResult } from "./executor.ts";
import { mapInOrder } from "./map-in-order.ts";
import type { StepModel, StepReference } from "./pipeline-models.ts";

/** What an ensemble stands on. */
export interface EnsembleExecutorOptions {
  readonly name: string;
  /** In an order in which each step finds its inputs. */
  readonly steps: readonly EnsembleStep[];
  /** The ensemble's outputs. */
  readonly outputs: readonly string[];
  /** Answers of a decoupled step that may be worked on at once, for one request. */
  readonly inflightMax: number;
  /** The serving model of a step. */
  readonly modelOf: (step: StepReference) => StepModel;
}

/** Answers of a decoupled step that are worked on at once when `max_inflight_requests` is 0. */
export const INFLIGHT_MAX_DEFAULT = 16;

type Tensors = ReadonlyMap<string, Tensor>;

/** Answers requests by the steps of an ensemble. */
export class EnsembleExecutor implements Executor {
  readonly #options: EnsembleExecutorOptions;
  readonly pids: readonly number[] = [];
  readonly restartCount = 0;
  readonly queueLength = 0;

  constructor(options: EnsembleExecutorOptions) {
    this.#options = options;
  }

  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const steps = this.#neededSteps(request);
    if (steps.some(({ isDecoupled }) => isDecoupled)) throw new StatusError("UNIMPLEMENTED", "ModelInfer RPC doesn't support models with decoupled transaction policy");
    const timings = new PipelineTimings();
    const tensors = await this.#runAll(steps, tensorsOf(request), request, context, timings);
    return this.#resultOf(tensors, request, timings);
  }

  async *inferStream(request: InferRequest, context: InferContext): AsyncGenerator<InferResult> {
    yield* this.#runFrom(this.#neededSteps(request), tensorsOf(request), request, context, new PipelineTimings());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(); // The steps' models belong to themselves.
  }

  async *#runFrom(steps: readonly EnsembleStep[], given: Tensors, request: InferRequest, context: InferContext, timings: PipelineTimings): AsyncGenerator<InferResult> {
    const first = steps.findIndex(({ isDecoupled }) => isDecoupled);
    const decoupled = steps[first];
    if (decoupled === undefined) {
      yield this.#resultOf(await this.#runAll(steps, given, request, context, timings), request, timings);
      return;
    }
    // What the decoupled step does not touch runs once, before it; what follows it runs for each of its answers.
    const downstream = readersOf(decoupled, steps.slice(first + 1));
    const once = steps.filter((step) => step !== decoupled && !downstream.includes(step));
    const tensors = await this.#runAll(once, given, request, context, timings);
    const answers = streamStep(this.#callOf(decoupled, tensors, request), context);
    yield* mapInOrder(answers, this.#options.inflightMax, (answer) => {
      const own = new PipelineTimings();
      own.add(answer.timings);
      return this.#runFrom(downstream, new Map([...tensors, ...written(decoupled, answer)]), request, context, own);
    });
  }

  /** Runs steps that each answer once. The first failure cancels the others. */
  async #runAll(steps: readonly EnsembleStep[], given: Tensors, request: InferRequest, context: InferContext, timings: PipelineTimings): Promise<Tensors> {
    const tensors = new Map<string, Tensor>(given);
    const failed = new AbortController();
    const inner = withSignal(context, AbortSignal.any([context.signal, failed.signal]));
    const running = new Map<EnsembleStep, Promise<void>>();
    for (const step of steps) {
      // Steps stand in an order in which the writers of a tensor come before its readers.
      const writers = [...running].filter(([writer]) => reads(step, writer)).map(([, done]) => done);
      const done = Promise.all(writers).then(async () => {
        inner.signal.throwIfAborted();
        const result = await callStep(this.#callOf(step, tensors, request), inner);
        timings.add(result.timings);
        for (const [name, tensor] of written(step, result)) tensors.set(name, tensor);
      });
      running.set(step, done);
    }
    try {
      await Promise.all(running.values());
    } catch (error) {
      failed.abort();
      await Promise.allSettled(running.values());
      throw error;
    }
    return tensors;
  }

  #callOf(step: EnsembleStep, tensors: Tensors, request: InferRequest): StepCall {
    const inputs = [...step.inputs].map(([input, tensor]) => renamed(input, tensors.get(tensor) as Tensor));
    return { pipeline: `ensemble '${this.#options.name}'`, model: this.#options.modelOf(step), inputs, outputs: [...step.outputs.keys()], request };
  }

  /** Steps whose outputs somebody wants. */
  #neededSteps({ outputs }: InferRequest): EnsembleStep[] {
    const wanted = new Set(outputs.length > 0 ? outputs : this.#options.outputs);
    return this.#options.steps.toReversed().filter((step) => {
      if (![...step.outputs.values()].some((tensor) => wanted.has(tensor))) return false;
      for (const tensor of step.inputs.values()) wanted.add(tensor);
      return true;
    }).toReversed();
  }

  #resultOf(tensors: Tensors, { outputs, batchSize }: InferRequest, timings: PipelineTimings): InferResult {
    const names = outputs.length > 0 ? outputs : this.#options.outputs;
    return { outputs: names.map((name) => renamed(name, tensors.get(name) as Tensor)), timings: timings.total(batchSize) };
  }
}

function tensorsOf({ inputs }: InferRequest): Tensors {
  return new Map(inputs.map((tensor) => [tensor.name, tensor]));
}

function written(step: EnsembleStep, { outputs }: InferResult): [string, Tensor][] {
  return [...step.outputs].map(([output, tensor]) => [tensor, outputs.find(({ name }) => name === output) as Tensor]);
}
