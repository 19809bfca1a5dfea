import type { ModelConfig } from "@servable/contracts/open-inference/model_config";

/** The parameter of ModelConfig that holds a typed graph, as JSON or YAML. */
export const GRAPH_PARAMETER = "servable.graph";

/** Whether the configuration is a typed graph. */
export function isGraph({ parameters }: ModelConfig): boolean {
  return (parameters[GRAPH_PARAMETER]?.stringValue ?? "") !== "";
}

/** Whether the model is made of other models and has no file of its own: an ensemble or a typed graph. */
export function isPipeline(config: ModelConfig): boolean {
  return config.schedulingChoice.case === "ensembleScheduling" || isGraph(config);
}
