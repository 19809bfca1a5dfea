import { ModelInstanceGroup_Kind } from "@servable/contracts/open-inference/model_config";
import type { Verdict } from "./verdict.ts";

/** What becomes of a setting: always the same, or by its value. */
export type SettingRule = Outcome | ((value: unknown) => Outcome);

interface Outcome {
  readonly verdict: Verdict;
  readonly reason?: string;
}

const honoured: Outcome = { verdict: "honoured" };
const ignored = (reason: string): Outcome => ({ verdict: "ignored", reason });
const adapted = (reason: string): Outcome => ({ verdict: "adapted", reason });
const notHonoured = (reason: string): Outcome => ({ verdict: "not honoured", reason });

const GPU = "the model runs on the CPU: this build of onnxruntime has no GPU provider";
const TENSORRT = "only TensorRT has it, and Servable runs models by onnxruntime";

const tensor = (role: "input" | "output"): Record<string, SettingRule> => ({
  [`${role}.name`]: honoured,
  [`${role}.data_type`]: honoured,
  [`${role}.dims`]: honoured,
  [`${role}.reshape`]: honoured,
  [`${role}.is_shape_tensor`]: notHonoured(TENSORRT),
  [`${role}.is_non_linear_format_io`]: notHonoured(TENSORRT),
});

/** Rules by path without indexes; a rule of a message speaks for its fields. */
export const SETTING_RULES: Readonly<Record<string, SettingRule>> = {
  name: honoured,
  platform: honoured,
  backend: honoured,
  runtime: notHonoured("backends are not loaded from files: onnxruntime is built in"),
  version_policy: honoured,
  max_batch_size: honoured,
  ...tensor("input"),
  "input.format": ignored("it describes the layout and changes nothing"),
  "input.allow_ragged_batch": notHonoured("ragged batches are not formed, and a model that needs them is not loaded; declare padding instead: servable.padding.<input>"),
  "input.optional": honoured,
  ...tensor("output"),
  "output.label_filename": honoured,
  batch_input: notHonoured("ragged batches are not formed, so there is nothing to tell the model about them"),
  batch_output: notHonoured("ragged batches are not formed, so there is nothing to split"),

  "optimization.graph": honoured,
  "optimization.priority": ignored("Triton's onnxruntime backend ignores it too"),
  "optimization.cuda": notHonoured(GPU),
  "optimization.execution_accelerators.gpu_execution_accelerator": notHonoured("the npm build of onnxruntime has no such provider on this platform; the model runs on what SERVABLE_EXECUTION_PROVIDERS says"),
  "optimization.execution_accelerators.cpu_execution_accelerator": notHonoured("the npm build of onnxruntime has no such provider; the model runs on what SERVABLE_EXECUTION_PROVIDERS says"),
  "optimization.input_pinned_memory": ignored("pinned memory is for copies to GPUs"),
  "optimization.output_pinned_memory": ignored("pinned memory is for copies from GPUs"),
  "optimization.gather_kernel_buffer_threshold": ignored("it is for GPUs"),
  "optimization.eager_batching": adapted("batches are formed at the moment an instance is free"),

  "dynamic_batching.preferred_batch_size": honoured,
  "dynamic_batching.max_queue_delay_microseconds": honoured,
  "dynamic_batching.preserve_ordering": honoured,
  "dynamic_batching.priority_levels": honoured,
  "dynamic_batching.default_priority_level": honoured,
  "dynamic_batching.default_queue_policy": honoured,
  "dynamic_batching.priority_queue_policy": honoured,

  "sequence_batching.direct": honoured,
  "sequence_batching.oldest": honoured,
  "sequence_batching.max_sequence_idle_microseconds": honoured,
  "sequence_batching.control_input": honoured,
  "sequence_batching.state.input_name": honoured,
  "sequence_batching.state.output_name": honoured,
  "sequence_batching.state.data_type": honoured,
  "sequence_batching.state.dims": honoured,
  "sequence_batching.state.initial_state": honoured,
  "sequence_batching.state.use_same_buffer_for_input_output": ignored("it spares a copy on GPUs"),
  "sequence_batching.state.use_growable_memory": ignored("it is for GPUs; states may grow here as they are"),
  "sequence_batching.iterative_sequence": notHonoured("a model of onnxruntime cannot ask to see a request again; the version cannot be loaded with it"),

  "ensemble_scheduling.step.model_name": honoured,
  "ensemble_scheduling.step.model_version": honoured,
  "ensemble_scheduling.step.input_map": honoured,
  "ensemble_scheduling.step.output_map": honoured,
  "ensemble_scheduling.step.model_namespace": notHonoured("steps are models of the same project"),
  "ensemble_scheduling.max_inflight_requests": honoured,

  "instance_group.name": honoured,
  "instance_group.kind": (kind) => (kind === ModelInstanceGroup_Kind.GPU ? notHonoured(GPU) : honoured),
  "instance_group.count": honoured,
  "instance_group.rate_limiter": honoured,
  "instance_group.gpus": notHonoured(GPU),
  "instance_group.secondary_devices": notHonoured("there are no NVDLA cores"),
  "instance_group.profile": notHonoured(TENSORRT),
  "instance_group.passive": notHonoured("every instance takes requests"),
  "instance_group.host_policy": notHonoured("processes are bound to no NUMA node; bind the service itself"),

  default_model_filename: adapted("the file becomes the version's model.onnx"),
  cc_model_filenames: notHonoured("it chooses files by the kind of GPU; the default file is served"),
  metric_tags: notHonoured("metrics carry model and version only"),
  "model_warmup.name": honoured,
  "model_warmup.batch_size": honoured,
  "model_warmup.inputs": honoured,
  "model_warmup.count": honoured,
  model_operations: notHonoured("libraries of operators would run unchecked inside the engine"),
  "model_transaction_policy.decoupled": honoured,
  model_repository_agents: notHonoured("agents are programs of a Triton server; their work is not done"),
  "response_cache.enable": (enable) => (enable === true ? notHonoured("every request is computed") : honoured),
  model_metrics: notHonoured("histograms have Servable's own buckets"),
};

const PARAMETERS: Readonly<Record<string, SettingRule>> = {
  intra_op_thread_count: honoured,
  inter_op_thread_count: honoured,
  enable_mem_arena: honoured,
  execution_mode: (value) => (stringOf(value) === "0" ? honoured : adapted("branches of a graph run side by side where inter_op_thread_count is above 1")),
  enable_mem_pattern: ignored("it changes speed only"),
  "memory.enable_memory_arena_shrinkage": ignored("it changes memory only; enable_mem_arena = 0 has the same end"),
  "session.use_device_allocator_for_initializers": ignored("large weights are mapped from files and not allocated"),
  cudnn_conv_algo_search: notHonoured(GPU),
  gpu_mem_limit: notHonoured(GPU),
  arena_extend_strategy: notHonoured(GPU),
  do_copy_in_default_stream: notHonoured(GPU),
};

/** What becomes of an entry of `parameters`. */
export function parameterRule(key: string): SettingRule {
  if (key.startsWith("servable.")) return honoured;
  return PARAMETERS[key] ?? ignored("onnxruntime has no such parameter; it is kept in the configuration for clients to read");
}

function stringOf(value: unknown): string {
  return typeof value === "object" && value !== null && "stringValue" in value ? String(value.stringValue) : "";
}
