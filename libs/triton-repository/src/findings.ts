// What becomes of each setting of a config.pbtxt. "Honoured" is silent consent; everything else is said, since a setting that
// is dropped without a word is found out in production. Every field of ModelConfig has a row here: a test walks the message's
// descriptor and fails for a field without one.

import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { ModelConfigSchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { SETTING_RULES, parameterRule, type SettingRule } from "./setting-rules.ts";
import type { Verdict } from "./verdict.ts";

/** What becomes of one setting or file. */
export interface Finding {
  /** "instance_group[0].kind", or a file's path. */
  readonly setting: string;
  readonly verdict: Verdict;
  /** Why, in words for the person who wrote the setting; "" where it is honoured. */
  readonly reason: string;
}

/** What becomes of each setting that a configuration has. */
export function findingsOf(config: ModelConfig): Finding[] {
  return [...walk(reflect(ModelConfigSchema, config), "", "")];
}

/** Paths of all fields of a message without indexes, e.g. "instance_group.kind"; maps end at their own name. */
export function settingPaths(schema: DescMessage = ModelConfigSchema, prefix = ""): string[] {
  return schema.fields.flatMap((field) => {
    const path = `${prefix}${field.name}`;
    const { message } = field;
    return message === undefined || isLeaf(path, field) ? [path] : settingPaths(message, `${path}.`);
  });
}

function* walk(message: ReflectMessage, place: string, path: string): Generator<Finding> {
  for (const field of message.sortedFields) {
    if (!message.isSet(field)) continue;
    const here = `${place}${field.name}`;
    const rulePath = `${path}${field.name}`;
    if (field.fieldKind === "map" && field.name === "parameters" && path === "") {
      for (const [key, value] of message.get(field)) yield finding(`${here}["${String(key)}"]`, parameterRule(String(key)), (value as ReflectMessage).message);
      continue;
    }
    if (field.message === undefined || isLeaf(rulePath, field)) {
      yield finding(here, SETTING_RULES[rulePath] ?? { verdict: "not honoured", reason: "Servable does not know it" }, message.get(field));
      continue;
    }
    if (field.fieldKind === "message") yield* walk(message.get(field), `${here}.`, `${rulePath}.`);
    else if (field.fieldKind === "list") for (const [index, item] of [...message.get(field)].entries()) yield* walk(item as ReflectMessage, `${here}[${index}].`, `${rulePath}.`);
    else if (field.fieldKind === "map") for (const [key, item] of message.get(field)) yield* walk(item as ReflectMessage, `${here}["${String(key)}"].`, `${rulePath}.`);
  }
}

/** A rule for a whole message speaks for all its fields. */
function isLeaf(path: string, field: DescField): boolean {
  return path in SETTING_RULES || (field.fieldKind === "map" && field.mapKind !== "message");
}

function finding(setting: string, rule: SettingRule, value: unknown): Finding {
  const { verdict, reason = "" } = typeof rule === "function" ? rule(value) : rule;
  return { setting, verdict, reason };
}
