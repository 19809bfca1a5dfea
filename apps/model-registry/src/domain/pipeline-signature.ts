import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { DataType, ModelConfigSchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { ModelSignature } from "@servable/onnx";
import { isDatatype } from "@servable/tensor";

/** Settings that make a version a pipeline of other models: Triton's ensembles, and graphs of our own in this parameter. */
const GRAPH_PARAMETER = "servable.graph";

/**
 * What a pipeline takes and gives, as its configuration says; undefined when the settings are no pipeline's, which then
 * needs a model file.
 *
 * @throws StatusError `FIELD_INVALID` when the settings are no ModelConfig, or a pipeline's that name no inputs or outputs
 */
export function pipelineSignatureOf(servingConfigJson: string): ModelSignature | undefined {
  if (servingConfigJson === "") return undefined;
  let config: ModelConfig;
  try {
    config = fromJson(ModelConfigSchema, JSON.parse(servingConfigJson) as JsonValue);
  } catch (error) {
    throw invalid("", `the serving configuration is no ModelConfig: ${(error as Error).message}`, error);
  }
  const { schedulingChoice, parameters, maxBatchSize } = config;
  if (schedulingChoice.case !== "ensembleScheduling" && (parameters[GRAPH_PARAMETER]?.stringValue ?? "") === "") return undefined;
  const specs = (role: "input" | "output") => {
    if (config[role].length === 0) throw invalid(role, `an ensemble must name its ${role}s`);
    return config[role].map(({ name, dataType, dims }, index) => {
      const datatype = dataType === DataType.TYPE_STRING ? "BYTES" : (DataType[dataType] ?? "").replace("TYPE_", "");
      if (name === "") throw invalid(`${role}[${index}].name`, "is missing");
      if (!isDatatype(datatype)) throw invalid(`${role}[${index}].data_type`, `of "${name}" is missing`);
      const shape = [...(maxBatchSize > 0 ? [-1] : []), ...dims.map(Number)];
      return { name, datatype, shape, dimensionNames: shape.map(() => "") };
    });
  };
  return { inputs: specs("input"), outputs: specs("output") };
}

function invalid(field: string, why: string, cause?: unknown): StatusError {
  return new StatusError("FIELD_INVALID", field === "" ? why : `${field}: ${why}`, { metadata: { field: field === "" ? "serving_config_json" : field }, cause });
}
