// What a config leaves open is filled in as Triton does, so that a client which reads the configuration finds what it would
// find there. Sources: triton-inference-server/core src/model_config_utils.cc (NormalizeModelConfig, NormalizeInstanceGroup),
// onnxruntime_backend src/onnxruntime.cc (AutoCompleteMaxBatch, AutoCompleteIO).

import { create } from "@bufbuild/protobuf";
import { DataType, ModelConfigSchema, ModelInstanceGroup_Kind, ModelOptimizationPolicySchema, ModelOptimizationPolicy_PinnedMemoryBufferSchema, type ModelConfig, type ModelInput, type ModelOutput } from "@servable/contracts/open-inference/model_config";
import type { Datatype } from "@servable/tensor";
import type { Signature, TensorSpec } from "./signature.ts";
import { isPipeline } from "./pipeline-config.ts";

const DATA_TYPES: Readonly<Record<Datatype, DataType>> = {
  BOOL: DataType.TYPE_BOOL, UINT8: DataType.TYPE_UINT8, UINT16: DataType.TYPE_UINT16, UINT32: DataType.TYPE_UINT32, UINT64: DataType.TYPE_UINT64,
  INT8: DataType.TYPE_INT8, INT16: DataType.TYPE_INT16, INT32: DataType.TYPE_INT32, INT64: DataType.TYPE_INT64, FP16: DataType.TYPE_FP16,
  FP32: DataType.TYPE_FP32, FP64: DataType.TYPE_FP64, BYTES: DataType.TYPE_STRING, BF16: DataType.TYPE_BF16,
};

/** The protocol's datatype of a configuration's. */
export const DATATYPE_OF: ReadonlyMap<number, Datatype> = new Map(Object.entries(DATA_TYPES).map(([datatype, type]) => [type, datatype as Datatype]));

/** onnxruntime's platform name in the protocol, which Triton's clients expect. */
export const PLATFORM = "onnxruntime_onnx";

/** The platform name of a pipeline. */
export const ENSEMBLE_PLATFORM = "ensemble";

/** "triton" in this parameter: a model that can batch and states no size gets Triton's default instead of any size. */
export const AUTOCOMPLETE_PARAMETER = "servable.autocomplete";

/** Triton's `default-max-batch-size` of onnxruntime. */
const TRITON_BATCH_SIZE_DEFAULT = 4;

/** How long Triton keeps an idle sequence. */
const SEQUENCE_IDLE_US_DEFAULT = 1_000_000n;

/** The settings with everything that follows from the graph and from defaults. */
export function completeModelConfig(given: ModelConfig, name: string, signature: Signature): ModelConfig {
  const config = create(ModelConfigSchema, given);
  config.name = name;
  config.versionPolicy ??= create(ModelConfigSchema, { versionPolicy: { policyChoice: { case: "latest", value: { numVersions: 1 } } } }).versionPolicy;
  if (isPipeline(config)) {
    config.platform = ENSEMBLE_PLATFORM;
    config.backend = "";
    config.defaultModelFilename = "";
    if (config.input.length === 0) config.input = inputsOf(signature.inputs, config);
    if (config.output.length === 0) config.output = outputsOf(signature.outputs, config);
    return config;
  }
  config.platform = PLATFORM;
  config.backend = "onnxruntime";
  config.defaultModelFilename = "model.onnx";
  completeTensors(config, signature);
  completeScheduling(config);
  completeInstances(config);
  config.optimization ??= create(ModelOptimizationPolicySchema);
  config.optimization.inputPinnedMemory ??= create(ModelOptimizationPolicy_PinnedMemoryBufferSchema, { enable: true });
  config.optimization.outputPinnedMemory ??= create(ModelOptimizationPolicy_PinnedMemoryBufferSchema, { enable: true });
  return config;
}

/** Inputs, outputs and batching, where the configuration names no tensors of its own. */
function completeTensors(config: ModelConfig, signature: Signature): void {
  if (config.input.length > 0 && config.output.length > 0) return;
  const { inputs, outputs } = withoutServersOwn(config, signature);
  const canBatch = [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
  if (canBatch && config.maxBatchSize === 0 && config.parameters[AUTOCOMPLETE_PARAMETER]?.stringValue === "triton") config.maxBatchSize = TRITON_BATCH_SIZE_DEFAULT;
  if (canBatch && config.maxBatchSize > 1 && config.schedulingChoice.case === undefined) {
    config.schedulingChoice = create(ModelConfigSchema, { schedulingChoice: { case: "dynamicBatching", value: {} } }).schedulingChoice;
  }
  if (config.input.length === 0) config.input = inputsOf(inputs, config);
  if (config.output.length === 0) config.output = outputsOf(outputs, config);
}

/** Control inputs, states and tensors computed from the batch are the server's own: callers neither send nor get them. */
function withoutServersOwn({ schedulingChoice, batchInput }: ModelConfig, { inputs, outputs }: Signature): Signature {
  const own = new Set(batchInput.flatMap(({ targetName }) => targetName));
  const states = new Set<string>();
  if (schedulingChoice.case === "sequenceBatching") {
    for (const { name } of schedulingChoice.value.controlInput) own.add(name);
    for (const { inputName, outputName } of schedulingChoice.value.state) {
      own.add(inputName);
      states.add(outputName);
    }
  }
  return { inputs: inputs.filter(({ name }) => !own.has(name)), outputs: outputs.filter(({ name }) => !states.has(name)) };
}

function completeScheduling(config: ModelConfig): void {
  const { schedulingChoice, maxBatchSize } = config;
  const sizes = maxBatchSize > 0 ? [maxBatchSize] : [];
  if (schedulingChoice.case === "dynamicBatching" && schedulingChoice.value.preferredBatchSize.length === 0) schedulingChoice.value.preferredBatchSize = sizes;
  if (schedulingChoice.case !== "sequenceBatching") return;
  const sequences = schedulingChoice.value;
  if (sequences.maxSequenceIdleMicroseconds === 0n) sequences.maxSequenceIdleMicroseconds = SEQUENCE_IDLE_US_DEFAULT;
  if (sequences.strategyChoice.case === "oldest" && sequences.strategyChoice.value.preferredBatchSize.length === 0) sequences.strategyChoice.value.preferredBatchSize = sizes;
}

/** Every instance runs on the CPU, and the answer says so also where the settings ask for a GPU. */
function completeInstances(config: ModelConfig): void {
  if (config.instanceGroup.length === 0) config.instanceGroup = create(ModelConfigSchema, { instanceGroup: [{ name: config.name }] }).instanceGroup;
  for (const [index, group] of config.instanceGroup.entries()) {
    if (group.name === "") group.name = `${config.name}_${index}`;
    if (group.kind !== ModelInstanceGroup_Kind.MODEL) group.kind = ModelInstanceGroup_Kind.CPU;
    if (group.count < 1) group.count = 1;
    group.gpus = [];
  }
}

function inputsOf(specs: readonly TensorSpec[], config: ModelConfig): ModelInput[] {
  return create(ModelConfigSchema, { input: specs.map((spec) => tensorOf(spec, config)) }).input;
}

function outputsOf(specs: readonly TensorSpec[], config: ModelConfig): ModelOutput[] {
  return create(ModelConfigSchema, { output: specs.map((spec) => tensorOf(spec, config)) }).output;
}

/** A tensor without dimensions of its own is one element to callers; batches of them are reshaped from [batch, 1] to [batch]. */
function tensorOf({ name, datatype, shape }: TensorSpec, { maxBatchSize }: ModelConfig) {
  const dims = (maxBatchSize > 0 ? shape.slice(1) : shape).map(BigInt);
  const dataType = DATA_TYPES[datatype];
  if (dims.length > 0 || maxBatchSize === 0) return { name, dataType, dims };
  return { name, dataType, dims: [1n], reshape: { shape: [] } };
}
