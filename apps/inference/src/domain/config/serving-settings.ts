// Settings come in layers: what the version was imported with, then what its deployment says. A later layer replaces an
// earlier one field by field; entries of maps (`parameters`) are replaced one by one. Layers are merged as JSON and not as
// messages, because in a message a zero that was written (`"max_batch_size": 0` switches batching off) looks like none.

import { fromJson, type DescField, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { ModelConfigSchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";

/**
 * The settings of all layers as one ModelConfig; "" is a layer without settings.
 *
 * @throws StatusError `FIELD_INVALID` naming the field that is no setting, or not of its type
 */
export function mergeSettings(layers: readonly string[]): ModelConfig {
  const merged = new Map<DescField, JsonValue>();
  for (const layer of layers) {
    for (const [field, value] of fieldsOf(layer)) {
      for (const other of field.oneof?.fields ?? []) if (other !== field) merged.delete(other);
      const before = merged.get(field);
      merged.set(field, field.fieldKind === "map" && isObject(before) && isObject(value) ? { ...before, ...value } : value);
    }
  }
  return read(Object.fromEntries([...merged].map(([{ jsonName }, value]) => [jsonName, value])));
}

function fieldsOf(layer: string): [DescField, JsonValue][] {
  if (layer === "") return [];
  let json: JsonValue;
  try {
    json = JSON.parse(layer) as JsonValue;
  } catch (error) {
    throw invalid(`it is no JSON: ${(error as Error).message}`, "", error);
  }
  if (!isObject(json)) throw invalid("it is no JSON object", "");
  // One by one, so that the error can say which.
  return Object.entries(json).map(([key, value]) => {
    const field = ModelConfigSchema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (field === undefined) throw invalid(`"${key}" is no field of it`, key);
    read({ [key]: value }, field.name);
    return [field, value];
  });
}

/** proto3 JSON takes numbers as text too, as the stock client sends them. */
function read(json: JsonObject, field = ""): ModelConfig {
  try {
    return fromJson(ModelConfigSchema, json);
  } catch (error) {
    throw invalid((error as Error).message, field, error);
  }
}

function invalid(why: string, field: string, cause?: unknown): StatusError {
  return new StatusError("FIELD_INVALID", `the serving configuration is no ModelConfig: ${why}`, { metadata: { field: field === "" ? "serving_config_json" : field }, cause });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
