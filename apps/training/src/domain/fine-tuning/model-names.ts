// OpenAI's clients know a fine-tuned model as "ft:base:org:suffix:id". Names of this platform stand in paths where a colon
// begins a verb, so that the same model is registered and deployed with commas in their place: no name has a comma of its own.

import { StatusError } from "@servable/errors";

const PREFIX = "ft:";

/** The name that callers say. */
export function fineTunedName({ base, project, suffix, id }: { readonly base: string; readonly project: string; readonly suffix: string; readonly id: string }): string {
  return [PREFIX.slice(0, -1), base, project, suffix, id].join(":");
}

/** The name under which a model is registered and deployed. */
export function servedName(model: string): string {
  return model.startsWith(PREFIX) ? model.replaceAll(":", ",") : model;
}

/** Id and version of a base model as a caller writes it: "bert", "bert@3", "bert@production", "ft:…". @throws StatusError `FIELD_INVALID` */
export function parseBaseModel(text: string): { readonly model: string; readonly version: string } {
  const [name = "", version = "", ...rest] = text.split("@");
  const model = servedName(name);
  if (name === "" || rest.length > 0 || !/^[A-Za-z0-9][A-Za-z0-9._,-]*$/.test(model) || (!name.startsWith(PREFIX) && model.includes(","))) {
    throw new StatusError("FIELD_INVALID", `model "${text.slice(0, 100)}" is no model's name: say one of the registry's, e.g. "bert-mini" or "bert-mini@2"`, { metadata: { field: "model" } });
  }
  return { model, version };
}

/** What a fine-tuned model's base is called in the names of those made from it: their own base, not the whole chain. */
export function baseLabel(model: string): string {
  const parts = servedName(model.split("@")[0] ?? "").split(",");
  return parts.length > 1 ? (parts[1] ?? "model") : (parts[0] ?? "model");
}
