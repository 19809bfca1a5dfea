import { invalid } from "./task-rows.ts";
import type { BaseModelFiles } from "./base-model.ts";

/** Names of a base model's classes in the order of its scores, as its task manifest says; undefined = it says nothing. */
export function baseLabels({ manifest, text }: BaseModelFiles): readonly string[] | undefined {
  const labels = manifest?.classification?.labels;
  if (labels === undefined) return undefined;
  if (labels.kind === "list") return labels.names;
  const content = text(labels.file);
  if (content === undefined) throw invalid("base_model", `names the labels' file "${labels.file}" and does not have it`);
  if (labels.key === undefined && !labels.file.endsWith(".json")) return content.replace(/\n$/, "").split("\n");
  const value = JSON.parse(content) as unknown;
  const list: unknown = labels.key === undefined ? value : (value as Record<string, unknown>)[labels.key];
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) throw invalid("base_model", `has no list of labels in "${labels.file}"`);
  return list;
}
