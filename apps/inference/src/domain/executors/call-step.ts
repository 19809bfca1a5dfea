import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { fitsShape, type Tensor } from "@servable/tensor";
import type { InferContext, InferRequest, InferResult, InferTimings } from "./executor.ts";
import { stepTypesOf, type StepModel } from "./pipeline-models.ts";

/** One call of a model within a pipeline. */
export interface StepCall {
  /** The pipeline's words in messages, e.g. "ensemble 'x'". */
  readonly pipeline: string;
  readonly model: StepModel;
  /** By the names of the model's inputs; the bytes are handed on, not copied. */
  readonly inputs: readonly NamedTensor[];
  /** Outputs of the model; empty = all. */
  readonly outputs: readonly string[];
  /** What the pipeline's caller asked: sequence, priority and parameters go on to the steps. */
  readonly request: InferRequest;
}

/** Runs a step; an error says in which pipeline. @throws StatusError */
export async function callStep(call: StepCall, context: InferContext): Promise<InferResult> {
  try {
    return await call.model.infer(stepRequest(call), context);
  } catch (error) {
    throw inPipeline(call.pipeline, error);
  }
}

/** The same for a step that has any number of answers. */
export async function* streamStep(call: StepCall, context: InferContext): AsyncGenerator<InferResult> {
  try {
    yield* call.model.inferStream(stepRequest(call), context);
  } catch (error) {
    throw inPipeline(call.pipeline, error);
  }
}

function stepRequest({ model, inputs, outputs, request }: StepCall): InferRequest {
  const { name, config } = model.spec;
  const specs = stepTypesOf(model).inputs;
  for (const input of inputs) {
    // Another model made the tensor, and it may have been replaced since the pipeline was checked.
    const spec = specs.find((each) => each.name === input.name);
    if (spec === undefined) throw new StatusError("INPUT_UNEXPECTED", `the step '${name}' takes no input '${input.name}'`, { metadata: { input: input.name } });
    if (spec.datatype !== input.datatype) throw new StatusError("DATATYPE_MISMATCH", `input '${input.name}' of the step '${name}' is ${spec.datatype}, it was given ${input.datatype}`, { metadata: { input: input.name } });
    if (!fitsShape(input.shape, spec.shape)) throw new StatusError("SHAPE_MISMATCH", `input '${input.name}' of the step '${name}' has the shape [${spec.shape.join(",")}], it was given [${input.shape.join(",")}]`, { metadata: { input: input.name } });
  }
  const batchSize = config.maxBatchSize > 0 ? (inputs[0]?.shape[0] ?? 1) : 1;
  if (config.maxBatchSize > 0 && batchSize > config.maxBatchSize) throw new StatusError("SHAPE_MISMATCH", `inference request batch-size must be <= ${config.maxBatchSize} for the step '${name}', got ${batchSize}`);
  return { ...request, inputs, outputs, batchSize };
}

/** An error with the pipeline in which it happened, as Triton writes it. */
export function inPipeline(pipeline: string, error: unknown): StatusError {
  const { reason, code, message, metadata } = StatusError.from(error);
  if (reason === "INTERNAL" || reason === "CANCELLED") return StatusError.from(error);
  return new StatusError(reason, `in ${pipeline}, ${message}`, { code, metadata, cause: error });
}

/** A tensor under another name. */
export function renamed(name: string, { datatype, shape, data }: Tensor): NamedTensor {
  return { name, datatype, shape, data };
}

/** Adds up where the time of a pipeline's steps went. */
export class PipelineTimings {
  #queueNs = 0;
  #inputNs = 0;
  #inferNs = 0;
  #outputNs = 0;

  /** Counts one step; steps that ran side by side count both. */
  add({ queueNs, inputNs, inferNs, outputNs }: InferTimings): void {
    this.#queueNs += queueNs;
    this.#inputNs += inputNs;
    this.#inferNs += inferNs;
    this.#outputNs += outputNs;
  }

  /** The sums. */
  total(batchSize: number): InferTimings {
    return { queueNs: this.#queueNs, inputNs: this.#inputNs, inferNs: this.#inferNs, outputNs: this.#outputNs, executedBatchSize: batchSize, countsExecution: true };
  }
}
