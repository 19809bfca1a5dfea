// Tables become numbers here, and the very same steps become ONNX nodes: what is trained on is what is served.

import { StatusError } from "@servable/errors";
import { concat, type Graph, type Value } from "@servable/onnx";
import { CATEGORIES_MAX, categoricalFeature, type CategoricalOptions } from "./categorical-feature.ts";
import type { ColumnData } from "./column-data.ts";
import { datetimeFeature } from "./datetime-feature.ts";
import type { Feature, FittedFeature } from "./feature.ts";
import { numericFeature, type NumericOptions } from "./numeric-feature.ts";
import { wordsFeature, type WordsOptions } from "./words-feature.ts";

/** How columns become features, by kind, and otherwise for columns that are named. */
export interface TableOptions {
  readonly numeric?: Partial<NumericOptions> | undefined;
  readonly categorical?: Partial<CategoricalOptions> | undefined;
  readonly text?: Partial<WordsOptions> | undefined;
  readonly columns?: Readonly<Record<string, Partial<NumericOptions> | Partial<CategoricalOptions> | Partial<WordsOptions>>> | undefined;
  /** Texts that callers may send for "missing", besides the empty one. */
  readonly missingValues?: readonly string[] | undefined;
}

/** A table's columns as features, learned from training rows only. */
export interface FittedTable {
  readonly features: readonly Feature[];
  /** Numbers of a row. */
  readonly width: number;
  /** Names of a row's numbers, e.g. "age", "island=Dream". */
  readonly names: readonly string[];
  /** Columns that were left out and why, for the record of the run. */
  readonly warnings: readonly string[];
}

const NUMERIC: NumericOptions = { impute: "mean", indicator: false, scale: "standard" };
const CATEGORICAL: CategoricalOptions = { impute: "most_frequent", encode: "one_hot", categoriesMax: CATEGORIES_MAX };
const WORDS: WordsOptions = { wordsMax: 1_000 };

/**
 * Learns the features of a table from its training rows. Columns that say nothing there are left out with a warning.
 *
 * @throws StatusError `COLUMN_UNSUITABLE` when a column has no value in any row, or no column says anything
 * @example const fitted = fitTable(table.columns, training, { numeric: { scale: "robust", indicator: true } });
 */
export function fitTable(columns: readonly ColumnData[], rows: Uint32Array, options: TableOptions = {}): FittedTable {
  const features: Feature[] = [];
  const warnings: string[] = [];
  for (const column of columns) {
    checkValues(column);
    const fitted = fit(column, rows, options);
    if ("feature" in fitted) features.push(fitted.feature);
    else warnings.push(`column "${column.name}" ${fitted.dropped}: it is left out`);
  }
  if (features.length === 0) throw unsuitable(`no column says anything about the target: ${warnings.slice(0, 5).join("; ") || "there is none besides it"}`);
  const names = features.flatMap((feature) => feature.names);
  return { features, width: names.length, names, warnings };
}

/** Writes a row's numbers, `fitted.width` of them; for the columns that were fitted or others of the same names. */
export function tableEncoder(fitted: FittedTable, columns: readonly ColumnData[]): (row: number, target: Float32Array, offset: number) => void {
  const encoders = fitted.features.map((feature) => {
    const column = columns.find(({ name }) => name === feature.column);
    if (column === undefined) throw new TypeError(`there is no column "${feature.column}"`);
    return { width: feature.names.length, encode: feature.encoder(column) };
  });
  return (row, target, offset) => {
    let at = offset;
    for (const { width, encode } of encoders) {
      encode(row, target, at);
      at += width;
    }
  };
}

/**
 * Adds one input for each column and the nodes that turn raw cells into features.
 *
 * Inputs [batch, 1]: numbers f32 with NaN for missing; categories, yes and no and texts BYTES with "" for missing; moments
 * INT64 in milliseconds. Output: f32 [batch, width].
 */
export function tableGraph(graph: Graph, fitted: FittedTable): Value {
  // All inputs before any node: a column may have a name that a node would get.
  const inputs = fitted.features.map((feature) => feature.input(graph));
  const parts = fitted.features.map((feature, index) => feature.nodes(graph, inputs[index] as Value));
  return parts.length === 1 ? (parts[0] as Value) : concat(graph, parts, 1);
}

function fit(column: ColumnData, rows: Uint32Array, { numeric, categorical, text, columns, missingValues = [] }: TableOptions): FittedFeature {
  const own = columns?.[column.name];
  switch (column.kind) {
    case "numeric":
      return numericFeature(column, rows, { ...NUMERIC, ...numeric, ...(own as Partial<NumericOptions>) });
    case "categorical":
    case "boolean":
      return categoricalFeature(column, rows, missingValues, { ...CATEGORICAL, ...categorical, ...(own as Partial<CategoricalOptions>) });
    case "datetime":
      return datetimeFeature(column, rows);
    case "text":
      return wordsFeature(column, rows, missingValues, { ...WORDS, ...text, ...(own as Partial<WordsOptions>) });
    default: {
      const never: never = column;
      return never;
    }
  }
}

/** A column without any value is a mistake, and no matter of which rows are trained on. */
function checkValues(column: ColumnData): void {
  const isEmpty = column.kind === "numeric" || column.kind === "datetime" ? column.values.every((value) => Number.isNaN(value)) : column.kind === "text" ? false : column.codes.every((code) => code < 0);
  if (isEmpty) throw unsuitable(`column "${column.name}" has no value in any row: declare it ignored, or fill it`);
}

function unsuitable(what: string): StatusError {
  return new StatusError("COLUMN_UNSUITABLE", what, { metadata: { field: "columns" } });
}
