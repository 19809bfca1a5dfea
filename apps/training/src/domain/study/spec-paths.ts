// Which fields of a specification a study may vary, and how a value gets into its field. Numbers go through
// `hyperparameters`, as a caller could write them; the others are words, truths and lists.

import { StatusError } from "@servable/errors";
import type { Assignment, ParameterValue } from "@servable/tuning";
import type { CategoryImputationKind, EncodingKind, ImputationKind, ScalingKind } from "../preprocessing-spec.ts";
import { HYPERPARAMETERS, setField } from "../spec-hyperparameters.ts";
import type { Family, LossKind, OptimizerKind, ScheduleShape } from "../training-spec-record.ts";
import type { TrainingSpecDraft } from "../training-spec.ts";

/** What a field holds. */
export type PathKind = "number" | "whole number" | "word" | "text" | "truth" | "numbers" | "texts";

const FAMILIES = ["logistic_regression", "softmax_regression", "mlp", "linear_regression", "lenet", "resnet", "text_classifier", "causal_lm", "imported"] as const satisfies readonly Family[];
const OPTIMIZERS = ["adam", "sgd", "adamw", "lion", "rmsprop", "adagrad", "lamb"] as const satisfies readonly OptimizerKind[];
const LOSSES = ["cross_entropy", "focal", "mean_squared_error", "huber"] as const satisfies readonly LossKind[];
const SHAPES = ["constant", "step", "cosine", "one_cycle", "plateau", "linear"] as const satisfies readonly ScheduleShape[];
const IMPUTATIONS = ["mean", "median", "constant"] as const satisfies readonly ImputationKind[];
const SCALINGS = ["standard", "min_max", "robust", "none"] as const satisfies readonly ScalingKind[];
const CATEGORY_IMPUTATIONS = ["most_frequent", "own_category"] as const satisfies readonly CategoryImputationKind[];
const ENCODINGS = ["one_hot", "ordinal"] as const satisfies readonly EncodingKind[];

const WORDS: Readonly<Record<string, readonly string[]>> = {
  family: FAMILIES,
  optimizer: OPTIMIZERS,
  loss: LOSSES,
  "schedule.shape": SHAPES,
  "preprocessing.imputation": IMPUTATIONS,
  "preprocessing.scaling": SCALINGS,
  "preprocessing.category_imputation": CATEGORY_IMPUTATIONS,
  "preprocessing.encoding": ENCODINGS,
};
const OTHERS: Readonly<Record<string, PathKind>> = {
  family: "word",
  optimizer: "word",
  loss: "word",
  "schedule.shape": "word",
  "preprocessing.imputation": "word",
  "preprocessing.scaling": "word",
  "preprocessing.category_imputation": "word",
  "preprocessing.encoding": "word",
  "preprocessing.missing_indicator": "truth",
  "optimizer_settings.nesterov": "truth",
  "optimizer_settings.centered": "truth",
  hidden_units: "numbers",
  feature_columns: "texts",
  frozen_parameters: "texts",
  "low_rank_adaptation.targets": "texts",
  base_model: "text",
  text_column: "text",
};
const WHOLE = /(_count|_units\.\d|_size|_steps|_length|_count_max|\.rank|\.width|_width)$/;
const LAYER = /^hidden_units\.\d$/;

/** What a field holds; undefined when a study cannot vary it. */
export function pathKind(path: string): PathKind | undefined {
  if ((HYPERPARAMETERS as readonly string[]).includes(path) || LAYER.test(path)) return WHOLE.test(path) ? "whole number" : "number";
  return Object.hasOwn(OTHERS, path) ? OTHERS[path] : undefined;
}

/** The fields that a study may vary, for messages. */
export function variedPaths(): string[] {
  return [...Object.keys(OTHERS), "hidden_units.0 …", ...HYPERPARAMETERS];
}

/**
 * A choice in the form of its field: words in lower case without the enum's name before them.
 *
 * @throws StatusError `FIELD_INVALID` when the field cannot hold it
 */
export function checkedChoice(path: string, value: ParameterValue): ParameterValue {
  const kind = pathKind(path);
  const fits =
    kind === "word" || kind === "text"
      ? typeof value === "string"
      : kind === "truth"
        ? typeof value === "boolean"
        : kind === "numbers"
          ? Array.isArray(value) && value.every((each) => typeof each === "number")
          : kind === "texts"
            ? Array.isArray(value) && value.every((each) => typeof each === "string")
            : typeof value === "number" && (kind === "number" || Number.isInteger(value));
  const words = WORDS[path];
  const word = words === undefined || typeof value !== "string" ? undefined : wordOf(path, value);
  if (!fits || (words !== undefined && (word === undefined || !words.includes(word)))) {
    const wanted = words === undefined ? `the field holds ${kind === "numbers" || kind === "texts" ? `a list of ${kind}` : `a ${kind ?? "value"}`}` : `it can be ${words.map((each) => each.toUpperCase()).join(", ")}`;
    throw new StatusError("FIELD_INVALID", `tuning_study.parameters["${path}"] has the choice ${JSON.stringify(value).slice(0, 100)}: ${wanted}`, { metadata: { field: "tuning_study.parameters", path } });
  }
  return word ?? value;
}

/** A value as callers write it: words of enums in capitals. */
export function shownValue(path: string, value: ParameterValue): ParameterValue {
  return WORDS[path] !== undefined && typeof value === "string" ? value.toUpperCase() : value;
}

/** A specification with a trial's values in their fields. */
export function withValues(spec: TrainingSpecDraft, values: Assignment): TrainingSpecDraft {
  const result: Record<string, unknown> = { ...spec };
  const numbers: Record<string, number> = { ...spec.hyperparameters };
  for (const [path, value] of Object.entries(values)) {
    const kind = pathKind(path);
    if (kind === "number" || kind === "whole number") {
      numbers[path] = value as number;
      continue;
    }
    setField(result, path, value);
  }
  return { ...result, hyperparameters: numbers };
}

function wordOf(path: string, value: string): string {
  const word = value.toLowerCase();
  const prefix = `${path.split(".").at(-1)}_`;
  return word.startsWith(prefix) ? word.slice(prefix.length) : word;
}
