import { StatusError } from "@servable/errors";
import { classify, type InferParameter, type InferParameters, type WireInferResponse, type WireOutput } from "@servable/open-inference";
import type { NamedTensor } from "@servable/runtime";
import type { InferResult, ParameterValue } from "../executors/executor.ts";
import type { OutputWish } from "./infer-request.ts";
import type { LoadedModel } from "../repository/loaded-model.ts";
import type { SharedMemoryPart } from "./shared-memory.ts";
import { sharedOutputParameters } from "./shared-tensors.ts";

/** Writes an output into shared memory that the caller registered. @throws StatusError when it does not fit */
export type WriteSharedMemory = (range: SharedMemoryPart, output: NamedTensor) => void;

/** What an answer is made of, besides the result. */
export interface AnswerOptions {
  readonly id: string;
  readonly wishes: readonly OutputWish[];
  readonly writeSharedMemory?: WriteSharedMemory | undefined;
  readonly extraParameters?: InferParameters;
}

/** The answer to a request, each output as the caller wants it. @throws StatusError */
export function answerOf(model: LoadedModel, { outputs, parameters }: InferResult, { id, wishes, writeSharedMemory, extraParameters }: AnswerOptions): WireInferResponse {
  const own = parameters === undefined ? undefined : wireParameters(parameters);
  const all = extraParameters === undefined ? own : new Map([...(own ?? []), ...extraParameters]);
  return {
    modelName: model.spec.name,
    modelVersion: String(model.spec.version),
    id,
    ...(all === undefined ? {} : { parameters: all }),
    outputs: wishes.length === 0 ? outputs : outputs.map((output) => answerOutput(model, output, wishes.find(({ name }) => name === output.name), writeSharedMemory)),
  };
}

function answerOutput(model: LoadedModel, output: NamedTensor, wish: OutputWish | undefined, writeSharedMemory: WriteSharedMemory | undefined): WireOutput {
  if (wish === undefined) return output;
  if (wish.classificationCount > 0) {
    const labels = model.labels.get(output.name);
    return { name: output.name, ...classify(output, { count: wish.classificationCount, batched: model.target.maxBatchSize > 0, labels }, output.name) };
  }
  if (wish.region === undefined) return output;
  if (writeSharedMemory === undefined) throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find shared memory region: '${wish.region.region}'`, { metadata: { region: wish.region.region } });
  writeSharedMemory(wish.region, output);
  return { name: output.name, datatype: output.datatype, shape: output.shape, parameters: wireParameters(sharedOutputParameters(wish.region)), data: undefined };
}

function wireParameters(parameters: ReadonlyMap<string, ParameterValue>): InferParameters {
  return new Map([...parameters].map(([key, value]) => [key, wireParameter(value)]));
}

function wireParameter(value: ParameterValue): InferParameter {
  switch (typeof value) {
    case "boolean":
      return { kind: "bool", value };
    case "bigint":
      return { kind: "int64", value };
    case "number":
      return { kind: "double", value };
    case "string":
      return { kind: "string", value };
  }
}
