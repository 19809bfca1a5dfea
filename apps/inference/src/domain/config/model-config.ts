import type { ModelConfig, ModelInput, ModelOutput } from "@servable/contracts/open-inference/model_config";
import { checkModelConfig } from "./check-model-config.ts";
import { completeModelConfig, DATATYPE_OF } from "./complete-model-config.ts";
import { mergeSettings } from "./serving-settings.ts";
import type { Signature, TensorSpec } from "./signature.ts";

export { PLATFORM } from "./complete-model-config.ts";

/**
 * The configuration of a version, complete as the protocol's clients read it: the version's settings, over them the
 * deployment's, and what neither says from the graph.
 *
 * @param signature what the graph takes and gives, as the registry read it
 * @throws StatusError `FIELD_INVALID` naming the field: settings that are no ModelConfig, contradict the graph or one another
 */
export function modelConfigOf(name: string, signature: Signature, ...settings: readonly string[]): ModelConfig {
  const config = completeModelConfig(mergeSettings(settings), name, signature);
  checkModelConfig(config, signature);
  return config;
}

/**
 * What callers send and get: the configuration's inputs and outputs, with the batch dimension where the model batches. It
 * differs from the graph's where the server feeds inputs itself (controls, states) or reshapes.
 *
 * @param graph gives names to the dimensions that it shares with the configuration
 */
export function clientSignatureOf({ maxBatchSize, input, output }: ModelConfig, graph: Signature = { inputs: [], outputs: [] }): Signature {
  const spec = ({ name, dataType, dims, reshape }: ModelInput | ModelOutput, specs: readonly TensorSpec[]): TensorSpec => {
    const names = reshape === undefined ? specs.find((each) => each.name === name)?.dimensionNames : undefined;
    return {
      name,
      datatype: DATATYPE_OF.get(dataType) ?? "BYTES",
      shape: [...(maxBatchSize > 0 ? [-1] : []), ...dims.map(Number)],
      ...(names === undefined ? {} : { dimensionNames: names }),
    };
  };
  return { inputs: input.map((each) => spec(each, graph.inputs)), outputs: output.map((each) => spec(each, graph.outputs)) };
}
