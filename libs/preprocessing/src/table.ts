// Tables become numbers here, and the very same steps become ONNX nodes: what is trained on is what is served.

import { ELEMENT_TYPES, Graph, cast, concat, div, equal, isNaN, sub, where, type Value } from "@servable/onnx";

/** How a column is used. */
export type ColumnUse = "numeric" | "categorical";

/** A column with what was learned of it from the training rows. */
export type FittedColumn =
  /** Missing cells become the mean; then (x - mean)/deviation. */
  | { readonly name: string; readonly use: "numeric"; readonly mean: number; readonly deviation: number }
  /** Missing cells become the most frequent category; then one column a category, all zero for one never seen. */
  | { readonly name: string; readonly use: "categorical"; readonly categories: readonly string[]; readonly mostFrequent: string };

/** The categories that a column may have; rarer ones count as never seen. */
export const CATEGORIES_MAX = 1_000;

/** Learns a column from training cells; undefined = missing. */
export function fitColumn(name: string, use: ColumnUse, cells: readonly (string | undefined)[]): FittedColumn {
  const present = cells.filter((cell) => cell !== undefined);
  if (use === "numeric") {
    const numbers = present.map(Number);
    const mean = numbers.reduce((sum, value) => sum + value, 0) / Math.max(1, numbers.length);
    const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, numbers.length);
    const deviation = Math.fround(Math.sqrt(variance));
    // A column that is constant, or nearly so that f32 cannot tell, says nothing; dividing by its deviation of zero would.
    return { name, use, mean: Math.fround(mean), deviation: deviation > 0 ? deviation : 1 };
  }
  const categories = byFrequency(present).slice(0, CATEGORIES_MAX);
  return { name, use, categories, mostFrequent: categories[0] ?? "" };
}

/** Distinct texts, most frequent first, equally frequent ones by the alphabet. */
export function byFrequency(texts: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1)).map(([text]) => text);
}

/** Numbers a column turns into. */
export function widthOf(column: FittedColumn): number {
  return column.use === "numeric" ? 1 : column.categories.length;
}

/** Writes a cell's numbers into a row of features. */
export function encodeCell(column: FittedColumn, cell: string | undefined, target: Float32Array, offset: number): void {
  if (column.use === "numeric") {
    const value = cell === undefined ? column.mean : Math.fround(Number(cell));
    target[offset] = Math.fround(value - column.mean) / column.deviation;
    return;
  }
  const index = column.categories.indexOf(cell ?? column.mostFrequent);
  if (index >= 0) target[offset + index] = 1;
}

/**
 * Adds one input for each column and the nodes that turn raw cells into features.
 *
 * Inputs: numeric f32 [batch, 1] with NaN for missing; categorical BYTES [batch, 1] with "" (or one of `missingValues`) for
 * missing. Output: f32 [batch, sum of widths].
 */
export function tableInputs(graph: Graph, columns: readonly FittedColumn[], missingValues: readonly string[]): Value {
  // All inputs before any node: a column may have a name that a node would get.
  const inputs = columns.map(({ name, use }) => graph.input(name, use === "numeric" ? "FP32" : "BYTES", ["batch", 1]));
  const parts = columns.map((column, index) => {
    let x = inputs[index] as Value;
    if (column.use === "numeric") {
      const mean = graph.constant("FP32", [1, 1], [column.mean]);
      const filled = where(graph, isNaN(graph, x), mean, x);
      return div(graph, sub(graph, filled, mean), graph.constant("FP32", [1, 1], [column.deviation]));
    }
    const fill = graph.constant("BYTES", [1, 1], [column.mostFrequent]);
    for (const missing of new Set(["", ...missingValues])) x = where(graph, equal(graph, x, graph.constant("BYTES", [1, 1], [missing])), fill, x);
    const categories = graph.constant("BYTES", [1, column.categories.length], column.categories);
    return cast(graph, equal(graph, x, categories), "FP32", ELEMENT_TYPES.FP32); // [batch, categories]
  });
  return parts.length === 1 ? (parts[0] as Value) : concat(graph, parts, 1);
}
