import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { elementsOf, tensorOf, type Datatype } from "@servable/tensor";
import type { InferContext, InferRequest, InferResult } from "../../src/domain/executors/executor.ts";
import type { ModelState } from "../../src/domain/repository/loaded-model.ts";
import { modelConfigOf } from "../../src/domain/config/model-config.ts";
import type { Signature } from "../../src/domain/config/signature.ts";
import type { PipelineModels, StepModel } from "../../src/domain/executors/pipeline-models.ts";
import { requestTargetOf } from "../../src/domain/requests/request-target.ts";

/** A tensor's type: datatype and shape. */
export type Type = readonly [Datatype, readonly number[]];

/** A step's model whose answers a function makes. */
export interface FakeModel {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Type>>;
  readonly outputs: Readonly<Record<string, Type>>;
  readonly settings?: object;
  /** The values of its outputs for the values of its inputs; an array of them = one answer each. */
  readonly answer?: (inputs: Readonly<Record<string, readonly unknown[]>>) => Record<string, readonly unknown[]> | readonly Record<string, readonly unknown[]>[];
}

const TIMINGS = { queueNs: 1, inputNs: 2, inferNs: 3, outputNs: 4, executedBatchSize: 1, countsExecution: true };

/** A model of JavaScript, and what it was asked. */
export function fakeStepModel({ name, inputs, outputs, settings = {}, answer = () => ({}) }: FakeModel): StepModel & { readonly requests: InferRequest[]; state: ModelState } {
  const specs = (types: Readonly<Record<string, Type>>) => Object.entries(types).map(([tensor, [datatype, shape]]) => ({ name: tensor, datatype, shape }));
  const signature: Signature = { inputs: specs(inputs), outputs: specs(outputs) };
  const requests: InferRequest[] = [];
  const answers = async (request: InferRequest, { signal }: InferContext): Promise<InferResult[]> => {
    requests.push(request);
    await new Promise(setImmediate);
    if (signal.aborted) throw StatusError.from(signal.reason);
    const made = answer(Object.fromEntries(request.inputs.map((tensor) => [tensor.name, elementsOf(tensor)])));
    return [made].flat().map((values) => ({ timings: TIMINGS, outputs: Object.entries(values).map(([tensor, elements]) => namedTensor(tensor, outputs[tensor]?.[0] ?? "INT32", elements)) }));
  };
  const config = modelConfigOf(name, signature, JSON.stringify(settings));
  return {
    requests,
    state: "READY",
    get isServing() {
      return this.state === "READY";
    },
    message: "",
    spec: { deployment: `projects/p/deployments/${name}`, name, version: 1, etag: "", signature, config },
    target: requestTargetOf(name, 1, signature, config),
    infer: async (request, context) => (await answers(request, context))[0] as InferResult,
    async *inferStream(request, context) {
      yield* await answers(request, context);
    },
  };
}

/** Models by name. */
export function modelsOf(models: readonly StepModel[]): PipelineModels & { readonly byName: (reference: { model: string }) => StepModel } {
  const byName = ({ model }: { model: string }): StepModel => {
    const found = models.find(({ spec }) => spec.name === model);
    if (found === undefined) throw new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${model}' is not found`);
    return found;
  };
  return { byName, resolve: (_, model) => byName({ model }), changed: () => new Promise((resolve) => setTimeout(resolve, 1)) };
}

/** A tensor of one dimension. */
export function namedTensor(name: string, datatype: Datatype, values: readonly unknown[]): NamedTensor {
  return { name, ...tensorOf(datatype, [values.length], values) };
}

/** A request with these tensors. */
export function requestOf(inputs: readonly NamedTensor[], more: Partial<InferRequest> = {}): InferRequest {
  return { id: "", inputs, outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined, ...more };
}

/** A context that nobody aborts, unless a signal is given. */
export function contextOf(signal: AbortSignal = new AbortController().signal): InferContext {
  return { signal, deadline: undefined, project: "p", requestId: "r" };
}

/** The outputs' values by name; texts as texts. */
export function valuesOf({ outputs }: { readonly outputs: readonly NamedTensor[] }): Record<string, unknown[]> {
  return Object.fromEntries(outputs.map((tensor) => [tensor.name, elementsOf(tensor).map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value))]));
}
