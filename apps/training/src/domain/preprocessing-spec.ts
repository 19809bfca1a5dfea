// What a job says of how a table's columns become features: checked against the columns, with the defaults filled in.

import { StatusError } from "@servable/errors";
import type { ColumnKind, ColumnRecord, DatasetRecord } from "./records.ts";
import type { Family } from "./training-spec-record.ts";

/** What a missing number becomes. */
export type ImputationKind = "mean" | "median" | "constant";
/** How numbers are brought to one size. */
export type ScalingKind = "standard" | "min_max" | "robust" | "none";
/** What a missing category becomes. */
export type CategoryImputationKind = "most_frequent" | "own_category";
/** How categories become numbers. */
export type EncodingKind = "one_hot" | "ordinal";

/** How columns become features. The fields are those of the contract's Preprocessing, explained there. */
export interface FeatureSettings {
  readonly imputation: ImputationKind;
  /** Set with imputation "constant" only. */
  readonly constant?: number | undefined;
  readonly missingIndicator: boolean;
  readonly scaling: ScalingKind;
  readonly categoryImputation: CategoryImputationKind;
  readonly encoding: EncodingKind;
  readonly categoryCountMax: number;
  readonly wordCountMax: number;
}

/** What holds for one column instead; what is undefined is as for all. */
export interface ColumnPreprocessingRecord extends SaidSettings {
  readonly column: string;
}

/** Some of the settings. */
export type SaidSettings = { readonly [Field in keyof FeatureSettings]?: FeatureSettings[Field] | undefined };

/** How all columns become features, and those for which something else holds. */
export interface PreprocessingRecord extends FeatureSettings {
  readonly columns: readonly ColumnPreprocessingRecord[];
}

/** What a caller wrote; undefined and a count of 0 mean "not said". */
export type PreprocessingDraft = { readonly [Field in keyof PreprocessingRecord]?: PreprocessingRecord[Field] | undefined };

/** What holds where nothing is said. */
export const PREPROCESSING_DEFAULTS: PreprocessingRecord = {
  imputation: "mean",
  missingIndicator: false,
  scaling: "standard",
  categoryImputation: "most_frequent",
  encoding: "one_hot",
  categoryCountMax: 1_000,
  wordCountMax: 1_000,
  columns: [],
};

/** The most that a job may ask for; numbers of a table are f32. */
export const PREPROCESSING_LIMITS = { categoryCountMax: 1_000, wordCountMax: 10_000, constantMax: 3.4e38 } as const;

const FIELD = "preprocessing";
const NUMBERS = { imputation: "imputation", constant: "constant", missingIndicator: "missing_indicator", scaling: "scaling" } as const;
const CATEGORIES = { categoryImputation: "category_imputation", encoding: "encoding", categoryCountMax: "category_count_max" } as const;
const TEXTS = { wordCountMax: "word_count_max" } as const;
/** Fields that a column of a kind can have, with their names in the contract. */
const FIELDS_OF: Readonly<Record<ColumnKind, Readonly<Record<string, string>>>> = { numeric: NUMBERS, categorical: CATEGORIES, boolean: CATEGORIES, text: TEXTS, datetime: {}, ignored: {} };
/** Families that learn from a table's columns as features; undefined = one of the first two, by the target. */
const FAMILIES: readonly (Family | undefined)[] = [undefined, "logistic_regression", "softmax_regression", "linear_regression", "mlp"];

/** What a specification says of columns. */
export interface LearnedColumns {
  readonly family: Family | undefined;
  readonly targetColumn: string;
  /** Empty = all but the target. */
  readonly featureColumns: readonly string[];
}

/**
 * Checks what is said of the columns and fills in the defaults; undefined where nothing is learned from columns.
 *
 * @throws StatusError `FIELD_INVALID` naming the field, the column and what is possible
 */
export function resolvePreprocessing(said: PreprocessingDraft | undefined, learned: LearnedColumns, dataset: DatasetRecord): PreprocessingRecord | undefined {
  const isTable = dataset.columns.length > 0 && FAMILIES.includes(learned.family);
  if (!isTable) {
    if (said === undefined) return undefined;
    throw invalid(FIELD, "is for tables and the families LOGISTIC_REGRESSION, SOFTMAX_REGRESSION, LINEAR_REGRESSION and MLP: leave it out");
  }
  const { columns = [], ...all } = said ?? {};
  checkNumbers(FIELD, all);
  if (all.constant !== undefined && all.imputation !== "constant") throw invalid(`${FIELD}.constant`, `is ${all.constant}, and the imputation is another: set imputation to CONSTANT, or leave it out`);
  const settings: FeatureSettings = { ...PREPROCESSING_DEFAULTS, ...given(all), ...(all.imputation === "constant" ? { constant: all.constant ?? 0 } : {}) };
  const seen = new Set<string>();
  return {
    ...settings,
    columns: columns.map((column, index) => {
      const field = `${FIELD}.columns[${index}]`;
      if (seen.has(column.column)) throw invalid(`${field}.column`, `"${column.column.slice(0, 64)}" stands there twice: say everything about a column in one place`, column.column);
      seen.add(column.column);
      return resolveColumn(field, column, featureColumn(`${field}.column`, column.column, learned, dataset), settings);
    }),
  };
}

function featureColumn(field: string, name: string, { targetColumn, featureColumns }: LearnedColumns, { columns }: DatasetRecord): ColumnRecord {
  const possible = columns.filter(({ name: each, kind }) => kind !== "ignored" && each !== targetColumn && (featureColumns.length === 0 || featureColumns.includes(each)));
  const found = possible.find((column) => column.name === name);
  if (found !== undefined) return found;
  const kind = columns.find((column) => column.name === name)?.kind;
  const why = kind === undefined ? "is no column" : name === targetColumn ? "is the target" : kind === "ignored" ? "is ignored" : "is not among feature_columns";
  throw invalid(field, `"${name.slice(0, 64)}" ${why}: the columns that are learned from are ${listed(possible.map((column) => column.name))}`, name);
}

function resolveColumn(field: string, { column, ...said }: ColumnPreprocessingRecord, { kind }: ColumnRecord, all: FeatureSettings): ColumnPreprocessingRecord {
  const own = given(said);
  const fields = FIELDS_OF[kind];
  const names: Readonly<Record<string, string>> = { ...NUMBERS, ...CATEGORIES, ...TEXTS };
  const misplaced = Object.keys(own).find((each) => fields[each] === undefined);
  if (misplaced !== undefined) {
    const possible = Object.values(fields).join(", ");
    throw invalid(`${field}.${names[misplaced] ?? misplaced}`, `is nothing that column "${column}" can have, which is ${kind}: ${possible === "" ? "nothing can be chosen for it" : `possible are ${possible}`}`, column);
  }
  checkNumbers(field, own, column);
  const imputation = own.imputation ?? all.imputation;
  if (own.constant !== undefined && imputation !== "constant") throw invalid(`${field}.constant`, `is ${own.constant}, and the imputation of column "${column}" is ${imputation.toUpperCase()}: set imputation to CONSTANT, or leave it out`, column);
  return { column, ...own, ...(own.imputation === "constant" ? { constant: own.constant ?? all.constant ?? 0 } : {}) };
}

function checkNumbers(field: string, { constant, categoryCountMax, wordCountMax }: SaidSettings, column?: string): void {
  const { constantMax, ...max } = PREPROCESSING_LIMITS;
  const of = column === undefined ? "" : ` for column "${column}"`;
  if (constant !== undefined && !(Math.abs(constant) <= constantMax)) throw invalid(`${field}.constant`, `is ${constant}${of}, it must be from -${constantMax} to ${constantMax}`, column);
  const count = (name: string, value: number | undefined, most: number): void => {
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= most)) throw invalid(`${field}.${name}`, `is ${value}${of}, it must be a whole number from 1 to ${most}, or 0 for the default`, column);
  };
  count("category_count_max", categoryCountMax, max.categoryCountMax);
  count("word_count_max", wordCountMax, max.wordCountMax);
}

/** What was said. */
function given(settings: SaidSettings): Partial<FeatureSettings> {
  const isSaid = ([name, value]: [string, unknown]): boolean => value !== undefined && !(value === 0 && name !== "constant");
  return Object.fromEntries(Object.entries(settings).filter(isSaid));
}

function invalid(field: string, problem: string, column?: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.${field} ${problem}`, { metadata: { field: `training_job.spec.${field}`, ...(column === undefined ? {} : { column }) } });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => `"${name.slice(0, 40)}"`).join(", ");
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
