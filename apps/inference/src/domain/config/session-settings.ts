import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { SessionSettings } from "@servable/runtime";

/** Settings of the service that a model's configuration may override. */
export interface SessionDefaults {
  readonly intraOpThreads: number;
  readonly executionProviders: readonly string[];
  readonly runMsMax: number;
  readonly memoryBytesMax?: number | undefined;
}

/** How the sessions of a version are made, and how long their runs may take. */
export interface VersionSession extends Omit<SessionSettings, "path" | "outputBytesMax"> {
  readonly runMsMax: number;
  /** What to run on where this build lacks the accelerators of the configuration; undefined = they are not wishes. */
  readonly fallbackProviders: readonly string[] | undefined;
}

/** onnxruntime's names of what Triton calls accelerators. */
const ACCELERATORS: Readonly<Record<string, string>> = { cuda: "cuda", tensorrt: "tensorrt", openvino: "openvino", webgpu: "webgpu", coreml: "coreml", directml: "dml" };

/**
 * How the sessions of a version are made: Triton's parameters of its onnxruntime backend (`intra_op_thread_count`,
 * `inter_op_thread_count`, `enable_mem_arena`), the graph's optimization level, accelerators as execution providers, and
 * `servable.prepacking`.
 *
 * @throws StatusError `FIELD_INVALID` naming the parameter
 */
export function sessionSettingsOf(config: ModelConfig, defaults: SessionDefaults): VersionSession {
  const level = config.optimization?.graph?.level ?? 0;
  const accelerators = acceleratorsOf(config);
  return {
    intraOpThreads: wholeNumber(config, "intra_op_thread_count", 256) ?? defaults.intraOpThreads,
    interOpThreads: wholeNumber(config, "inter_op_thread_count", 256) ?? 1,
    executionProviders: executionProvidersOf(config) ?? accelerators ?? defaults.executionProviders,
    fallbackProviders: executionProvidersOf(config) === undefined && accelerators !== undefined ? defaults.executionProviders : undefined,
    // Triton's onnxruntime backend: -1 = basic, 1 = extended, 2 = none, 0 = the default: all.
    graphOptimizationLevel: level < 0 ? "basic" : level === 1 ? "extended" : level > 1 ? "disabled" : "all",
    prepacking: flag(config, "servable.prepacking") ?? true,
    memoryArena: flag(config, "enable_mem_arena") ?? true,
    runMsMax: wholeNumber(config, "servable.run_timeout_ms", 86_400_000) ?? defaults.runMsMax,
  };
}

function executionProvidersOf(config: ModelConfig): readonly string[] | undefined {
  const given = config.parameters["servable.execution_providers"]?.stringValue;
  return given?.split(",").map((name) => name.trim()).filter((name) => name !== "");
}

function acceleratorsOf(config: ModelConfig): readonly string[] | undefined {
  const accelerators = config.optimization?.executionAccelerators;
  const named = [...(accelerators?.gpuExecutionAccelerator ?? []), ...(accelerators?.cpuExecutionAccelerator ?? [])].map(({ name }) => ACCELERATORS[name.toLowerCase()] ?? name.toLowerCase());
  return named.length === 0 ? undefined : [...named, "cpu"];
}

function wholeNumber(config: ModelConfig, key: string, max: number): number | undefined {
  const text = config.parameters[key]?.stringValue;
  if (text === undefined) return undefined;
  const value = Number(text);
  // Triton's 0 means "as many as there are cores", which the service's own setting knows better.
  if (value === 0) return undefined;
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new StatusError("FIELD_INVALID", `parameters["${key}"] is "${text}": it must be a whole number from 1 to ${max}`, { metadata: { field: `parameters.${key}` } });
}

function flag(config: ModelConfig, key: string): boolean | undefined {
  const text = config.parameters[key]?.stringValue;
  if (text === undefined) return undefined;
  if (["1", "true"].includes(text.toLowerCase())) return true;
  if (["0", "false"].includes(text.toLowerCase())) return false;
  throw new StatusError("FIELD_INVALID", `parameters["${key}"] is "${text}": it must be true or false`, { metadata: { field: `parameters.${key}` } });
}
