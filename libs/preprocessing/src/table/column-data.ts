// Columns of a table as they lie in memory: one number a cell, whatever the cell holds. Five million rows of JavaScript
// strings are gigabytes; the same rows as dictionary codes are twenty megabytes a column.

/** Numbers; NaN = missing. f32, since that is what serving gets. */
export interface NumericData {
  readonly name: string;
  readonly kind: "numeric";
  readonly values: Float32Array;
}

/** Texts out of a set, as indices into it; -1 = missing. Booleans are the same with two texts. */
export interface CategoricalData {
  readonly name: string;
  readonly kind: "categorical" | "boolean";
  readonly codes: Int32Array;
  /** The texts as the file has them, in the order in which they came first. */
  readonly categories: readonly string[];
}

/** Moments in milliseconds since 1970 UTC; NaN = missing. */
export interface DatetimeData {
  readonly name: string;
  readonly kind: "datetime";
  readonly values: Float64Array;
}

/** Free texts, kept as bytes and decoded when asked for. */
export interface TextData {
  readonly name: string;
  readonly kind: "text";
  /** Text of a row; undefined = missing. */
  text(row: number): string | undefined;
}

/** One column in memory. */
export type ColumnData = NumericData | CategoricalData | DatetimeData | TextData;

