import { DataType, ModelInput_Format, ModelQueuePolicy_TimeoutAction, type ModelConfig, type ModelDynamicBatching, type ModelInput, type ModelOutput } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { DATATYPE_OF } from "./complete-model-config.ts";
import type { Signature, TensorSpec } from "./signature.ts";
import { isPipeline } from "./pipeline-config.ts";

/**
 * Refuses a configuration that contradicts the graph or itself.
 *
 * @throws StatusError `FIELD_INVALID`; the message begins with the field, e.g. "input[0].dims"
 */
export function checkModelConfig(config: ModelConfig, signature: Signature): void {
  const { maxBatchSize, schedulingChoice } = config;
  if (maxBatchSize < 0) throw invalid("max_batch_size", `must not be negative, is ${maxBatchSize}`);
  for (const [index, input] of config.input.entries()) checkInput(input, `input[${index}]`, config);
  for (const [index, output] of config.output.entries()) checkTensor(output, `output[${index}]`, config);
  switch (schedulingChoice.case) {
    case "dynamicBatching":
      checkDynamicBatching(schedulingChoice.value, maxBatchSize);
      break;
    case "sequenceBatching": {
      const { strategyChoice } = schedulingChoice.value;
      if (strategyChoice.case === "oldest") checkPreferredSizes("sequence_batching.oldest.preferred_batch_size", strategyChoice.value.preferredBatchSize, maxBatchSize);
      const utilization = strategyChoice.case === "direct" ? strategyChoice.value.minimumSlotUtilization : 0;
      if (!(utilization >= 0 && utilization <= 1)) throw invalid("sequence_batching.direct.minimum_slot_utilization", `must be 0 to 1, is ${utilization}`);
      break;
    }
    case "ensembleScheduling":
      if (schedulingChoice.value.step.length === 0) throw invalid("ensemble_scheduling.step", "names no model");
      break;
    case undefined:
  }
  if (isPipeline(config)) {
    // Its steps are other models: whether they fit is known when they are loaded.
    if (config.input.length === 0) throw invalid("input", "an ensemble must name its inputs");
    if (config.output.length === 0) throw invalid("output", "an ensemble must name its outputs");
    return;
  }
  checkAgainstGraph(config, signature);
}

function checkInput(input: ModelInput, field: string, config: ModelConfig): void {
  checkTensor(input, field, config);
  if (input.format !== ModelInput_Format.NONE && input.dims.length !== 3) throw invalid(`${field}.format`, `NHWC and NCHW have 3 dimensions, "${input.name}" has ${input.dims.length}`);
}

function checkTensor({ name, dataType, dims, reshape, isShapeTensor }: ModelInput | ModelOutput, field: string, { maxBatchSize }: ModelConfig): void {
  if (name === "") throw invalid(`${field}.name`, "is missing");
  if (!DATATYPE_OF.has(dataType)) throw invalid(`${field}.data_type`, `of "${name}" is missing`);
  if (isShapeTensor) throw invalid(`${field}.is_shape_tensor`, "only TensorRT has shape tensors");
  const wrong = [...dims, ...(reshape?.shape ?? [])].find((dim) => dim < 1n && dim !== -1n);
  // A graph may say 0 itself; a configuration that Triton takes never does.
  if (wrong !== undefined && wrong !== 0n) throw invalid(`${field}.dims`, `of "${name}" must be 1 or more, or -1 for a size that varies, not ${wrong}`);
  if (reshape === undefined) return;
  if (reshape.shape.length === 0 && maxBatchSize === 0) throw invalid(`${field}.reshape`, `of "${name}" is empty: without batches there would be no dimension left`);
  const [from, to] = [dims, reshape.shape].map(fixedProducts) as [bigint[], bigint[]];
  if (from.length !== to.length || from.some((product, index) => product !== to[index])) {
    throw invalid(`${field}.reshape`, `[${reshape.shape.join(", ")}] of "${name}" does not hold as many elements as dims [${dims.join(", ")}]`);
  }
}

/** Products of the sizes between those that vary: equal lists are shapes that can be turned into each other. */
function fixedProducts(dims: readonly bigint[]): bigint[] {
  const products = [1n];
  for (const dim of dims) {
    if (dim === -1n) products.push(1n);
    else products[products.length - 1] = (products.at(-1) ?? 1n) * dim;
  }
  return products;
}

function checkPreferredSizes(field: string, sizes: readonly number[], maxBatchSize: number): void {
  const wrong = sizes.find((size) => size < 1 || size > maxBatchSize);
  if (wrong !== undefined) throw invalid(field, `must be 1 to max_batch_size (${maxBatchSize}), one is ${wrong}`);
}

function checkDynamicBatching(batching: ModelDynamicBatching, maxBatchSize: number): void {
  const { preferredBatchSize, priorityLevels, defaultPriorityLevel, preserveOrdering, defaultQueuePolicy, priorityQueuePolicy } = batching;
  checkPreferredSizes("dynamic_batching.preferred_batch_size", preferredBatchSize, maxBatchSize);
  if (priorityLevels > 0n) {
    if (defaultPriorityLevel < 1n || defaultPriorityLevel > priorityLevels) throw invalid("dynamic_batching.default_priority_level", `must be 1 to priority_levels (${priorityLevels}), is ${defaultPriorityLevel}`);
    const wrong = Object.keys(priorityQueuePolicy).find((level) => BigInt(level) < 1n || BigInt(level) > priorityLevels);
    if (wrong !== undefined) throw invalid("dynamic_batching.priority_queue_policy", `has the level ${wrong}, levels are 1 to ${priorityLevels}`);
  }
  if (!preserveOrdering) return;
  if (priorityLevels > 1n) throw invalid("dynamic_batching.preserve_ordering", "allows only one priority level");
  const delays = [defaultQueuePolicy, ...Object.values(priorityQueuePolicy)].some((policy) => policy !== undefined && policy.defaultTimeoutMicroseconds > 0n && policy.timeoutAction === ModelQueuePolicy_TimeoutAction.DELAY);
  if (delays) throw invalid("dynamic_batching.preserve_ordering", "cannot be kept by a queue policy whose timeout_action is DELAY");
}

/** Names, datatypes and dimensions are those of the graph, and every input of the graph is fed by somebody. */
function checkAgainstGraph(config: ModelConfig, { inputs, outputs }: Signature): void {
  if (config.maxBatchSize > 0) {
    const fixed = [...inputs, ...outputs].find(({ shape }) => shape.length > 0 && shape[0] !== -1);
    if (fixed !== undefined) throw invalid("max_batch_size", `is ${config.maxBatchSize}, but "${fixed.name}" has no variable first dimension: leave max_batch_size out`);
  }
  const fed = new Set<string>(config.batchInput.flatMap(({ targetName }) => targetName));
  if (config.schedulingChoice.case === "sequenceBatching") {
    for (const [index, { name }] of config.schedulingChoice.value.controlInput.entries()) {
      find(inputs, name, `sequence_batching.control_input[${index}].name`, "input");
      fed.add(name);
    }
    for (const [index, { inputName, outputName }] of config.schedulingChoice.value.state.entries()) {
      find(inputs, inputName, `sequence_batching.state[${index}].input_name`, "input");
      find(outputs, outputName, `sequence_batching.state[${index}].output_name`, "output");
      fed.add(inputName);
    }
  }
  for (const [index, input] of config.input.entries()) {
    // An initialiser that the graph lists among its inputs is no input of it, and may be named as an optional one.
    if (input.optional && !inputs.some(({ name }) => name === input.name)) continue;
    checkTensorAgainst(find(inputs, input.name, `input[${index}].name`, "input"), input, `input[${index}]`, config.maxBatchSize);
    fed.add(input.name);
  }
  const missing = inputs.find(({ name }) => !fed.has(name));
  if (missing !== undefined) throw invalid("input", `"${missing.name}" of the graph is missing`);
  for (const [index, output] of config.output.entries()) {
    checkTensorAgainst(find(outputs, output.name, `output[${index}].name`, "output"), output, `output[${index}]`, config.maxBatchSize);
  }
}

function find(specs: readonly TensorSpec[], name: string, field: string, role: "input" | "output"): TensorSpec {
  const found = specs.find((spec) => spec.name === name);
  if (found === undefined) throw invalid(field, `unexpected inference ${role} '${name}', allowed ${role}s are: ${specs.map((spec) => spec.name).join(", ")}`);
  return found;
}

function checkTensorAgainst({ shape, datatype }: TensorSpec, { name, dataType, dims, reshape }: ModelInput | ModelOutput, field: string, maxBatchSize: number): void {
  if (DATATYPE_OF.get(dataType) !== datatype) throw invalid(`${field}.data_type`, `configuration expects datatype ${DataType[dataType] ?? dataType} for '${name}', the graph has ${datatype}`);
  // A graph that says nothing of a tensor's dimensions fits all.
  if (shape.length === 0) return;
  const seen = [...(maxBatchSize > 0 ? [-1n] : []), ...(reshape?.shape ?? dims)];
  const differs = seen.length !== shape.length || seen.some((dim, axis) => dim !== -1n && shape[axis] !== -1 && Number(dim) !== shape[axis]);
  if (differs) throw invalid(reshape === undefined ? `${field}.dims` : `${field}.reshape`, `the graph has the shape [${shape.join(", ")}] for '${name}', configuration expects [${seen.join(", ")}]${maxBatchSize > 0 ? ", the first of which is the batch" : ""}`);
}

function invalid(field: string, why: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field}: ${why}`, { metadata: { field } });
}
