import type { SliceColumn } from "@servable/evaluation";
import type { ColumnData } from "@servable/preprocessing";

/** More columns make a report that nobody reads. */
const SLICE_COLUMNS_MAX = 12;
/** A column of more texts is no group of rows. */
const CATEGORIES_MAX = 50;

/** Columns whose groups are judged by themselves: a model that is right on the whole may fail one of them. */
export function sliceColumns(columns: readonly ColumnData[], rows: Uint32Array): SliceColumn[] {
  return columns.flatMap((column) => sliceColumn(column, rows)).slice(0, SLICE_COLUMNS_MAX);
}

function sliceColumn(column: ColumnData, rows: Uint32Array): SliceColumn[] {
  if (column.kind === "numeric") return [{ name: column.name, values: Float64Array.from(rows, (row) => column.values[row] ?? NaN) }];
  if (column.kind !== "categorical" && column.kind !== "boolean") return [];
  return column.categories.length > CATEGORIES_MAX ? [] : [{ name: column.name, values: Array.from(rows, (row) => column.categories[column.codes[row] ?? -1]) }];
}
