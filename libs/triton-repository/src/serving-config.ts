import { create, toJson, type JsonObject } from "@bufbuild/protobuf";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import type { TritonModel } from "./triton-model.ts";

/** "triton" there: what the configuration leaves open is completed as Triton does, batch size included. */
const AUTOCOMPLETE_PARAMETER = "servable.autocomplete";

/** A model's configuration as a version's serving settings, proto3 JSON with the names of the protocol. */
export function servingConfigOf({ config, kind }: Pick<TritonModel, "config" | "kind">): string {
  const settings = toJson(ModelConfigSchema, config ?? create(ModelConfigSchema), { useProtoFieldName: true }) as JsonObject;
  // The name is the deployment's, and the file has become model.onnx.
  delete settings["name"];
  delete settings["default_model_filename"];
  if (kind === "ensemble") return JSON.stringify({ ...settings, platform: "ensemble" });
  return JSON.stringify({ ...settings, parameters: { ...(settings["parameters"] as JsonObject | undefined), [AUTOCOMPLETE_PARAMETER]: { string_value: "triton" } } });
}
