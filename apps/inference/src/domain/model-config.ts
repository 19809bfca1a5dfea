import { create, fromJson, toJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { DataType, ModelConfigSchema, ModelVersionPolicySchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Datatype } from "@servable/tensor";

/** Header of an input or output, as the registry read it from the graph. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** Dimensions; -1 = variable. */
  readonly shape: readonly number[];
}

/** What a version takes and gives. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

const DATA_TYPES: Readonly<Record<Datatype, DataType>> = {
  BOOL: DataType.TYPE_BOOL, UINT8: DataType.TYPE_UINT8, UINT16: DataType.TYPE_UINT16, UINT32: DataType.TYPE_UINT32, UINT64: DataType.TYPE_UINT64,
  INT8: DataType.TYPE_INT8, INT16: DataType.TYPE_INT16, INT32: DataType.TYPE_INT32, INT64: DataType.TYPE_INT64, FP16: DataType.TYPE_FP16,
  FP32: DataType.TYPE_FP32, FP64: DataType.TYPE_FP64, BYTES: DataType.TYPE_STRING, BF16: DataType.TYPE_BF16,
};

/** onnxruntime's platform name in the protocol, which Triton's clients expect. */
export const PLATFORM = "onnxruntime_onnx";

/**
 * The configuration of a version: what the graph says, then the version's settings, then the deployment's.
 *
 * @throws StatusError `FIELD_INVALID` when settings are no ModelConfig, or contradict the graph
 */
export function modelConfigOf(name: string, signature: Signature, ...settings: readonly string[]): ModelConfig {
  const given = create(ModelConfigSchema);
  for (const text of settings) {
    if (text === "") continue;
    mergeSettings(given, text);
  }
  const batched = given.maxBatchSize > 0;
  if (batched) {
    const fixed = [...signature.inputs, ...signature.outputs].find(({ shape }) => shape[0] !== -1);
    if (fixed !== undefined) throw new StatusError("FIELD_INVALID", `max_batch_size is ${given.maxBatchSize}, but "${fixed.name}" has no variable first dimension: leave max_batch_size out`, { metadata: { field: "max_batch_size" } });
  }
  const dims = (shape: readonly number[]): bigint[] => (batched ? shape.slice(1) : shape).map(BigInt);
  return {
    ...given,
    name,
    platform: PLATFORM,
    versionPolicy: given.versionPolicy ?? create(ModelVersionPolicySchema, { policyChoice: { case: "latest", value: { numVersions: 1 } } }),
    backend: "onnxruntime",
    defaultModelFilename: "model.onnx",
    input: create(ModelConfigSchema, { input: signature.inputs.map((spec) => ({ name: spec.name, dataType: DATA_TYPES[spec.datatype], dims: dims(spec.shape) })) }).input,
    output: create(ModelConfigSchema, { output: signature.outputs.map((spec) => ({ name: spec.name, dataType: DATA_TYPES[spec.datatype], dims: dims(spec.shape) })) }).output,
  };
}

/** Later settings replace earlier ones field by field. */
function mergeSettings(target: ModelConfig, text: string): void {
  try {
    // proto3 JSON takes numbers as text too, as the stock client sends them.
    const merged = { ...(toJson(ModelConfigSchema, target, { alwaysEmitImplicit: false }) as JsonObject), ...(toJson(ModelConfigSchema, fromJson(ModelConfigSchema, JSON.parse(text) as JsonValue, { ignoreUnknownFields: true })) as JsonObject) };
    Object.assign(target, fromJson(ModelConfigSchema, merged));
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `the serving configuration is no ModelConfig: ${(error as Error).message}`, { metadata: { field: "serving_config_json" }, cause: error });
  }
}
