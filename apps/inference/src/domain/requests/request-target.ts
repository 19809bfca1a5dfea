import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import type { Signature, TensorSpec } from "../config/signature.ts";

/** What the checks need of a model, looked up once for each version. */
export interface RequestTarget {
  readonly name: string;
  readonly version: number;
  readonly signature: Signature;
  readonly inputsByName: ReadonlyMap<string, TensorSpec>;
  readonly outputsByName: ReadonlyMap<string, TensorSpec>;
  /** Inputs that a caller may leave out: declared optional, or made by the server. */
  readonly optionalInputs: ReadonlySet<string>;
  /** 0 = the model does not batch. */
  readonly maxBatchSize: number;
  /** One request may have any number of answers, and only over a stream. */
  readonly isDecoupled: boolean;
}

/** The request target of a version. `madeInputs` are inputs that the server makes itself. */
export function requestTargetOf(name: string, version: number, signature: Signature, config: ModelConfig, madeInputs: readonly string[] = []): RequestTarget {
  return {
    name,
    version,
    signature,
    inputsByName: new Map(signature.inputs.map((spec) => [spec.name, spec])),
    outputsByName: new Map(signature.outputs.map((spec) => [spec.name, spec])),
    optionalInputs: new Set([...config.input.filter(({ optional }) => optional).map((input) => input.name), ...madeInputs]),
    maxBatchSize: config.maxBatchSize,
    isDecoupled: config.modelTransactionPolicy?.decoupled === true,
  };
}
