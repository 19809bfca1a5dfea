// A model that is right on the whole may fail one group. Rows are grouped by a column's values, or by ranges of a number
// that hold about the same number of rows, and each group is judged by itself.

import { quantileOf } from "./bootstrap.ts";

/** A column to slice by, one value a row. `undefined` and NaN are their own slice, "missing". */
export interface SliceColumn {
  readonly name: string;
  readonly values: readonly (string | undefined)[] | Float64Array | Float32Array;
}

/** Which slices are made. */
export interface SliceOptions {
  /** Below it a slice is listed without metrics: a few rows prove nothing and identify people. @default 20 */
  readonly rowCountMin?: number;
  /** Values of a column that get a slice of their own, most frequent first; the others share "other". @default 20 */
  readonly valueCountMax?: number;
  /** Ranges that a number is cut into. @default 4 */
  readonly rangeCount?: number;
}

/** Rows that belong together. */
export interface Slice {
  readonly column: string;
  readonly value: string;
  readonly rows: Uint32Array;
  readonly tooSmall: boolean;
}

/** The slices of all columns, in the columns' order, each column's largest first (ranges ascending). */
export function slicesOf(columns: readonly SliceColumn[], { rowCountMin = 20, valueCountMax = 20, rangeCount = 4 }: SliceOptions = {}): Slice[] {
  return columns.flatMap(({ name, values }) => {
    const groups = ArrayBuffer.isView(values) ? rangesOf(values, rangeCount) : valuesOf(values, valueCountMax);
    return [...groups].map(([value, rows]): Slice => ({ column: name, value, rows: Uint32Array.from(rows), tooSmall: rows.length < rowCountMin }));
  });
}

function valuesOf(values: readonly (string | undefined)[], countMax: number): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  values.forEach((value, row) => add(groups, value ?? "missing", row));
  const sorted = [...groups].sort(([a, left], [b, right]) => right.length - left.length || (a < b ? -1 : 1));
  const rare = sorted.slice(countMax).flatMap(([, rows]) => rows);
  return new Map([...sorted.slice(0, countMax), ...(rare.length === 0 ? [] : [["other", rare.sort((a, b) => a - b)] as const])]);
}

function rangesOf(values: Float64Array | Float32Array, count: number): Map<string, number[]> {
  const known = Float64Array.from(values).filter((value) => !Number.isNaN(value)).sort();
  // Many equal values make quantiles meet: the ranges that remain are fewer.
  const edges = [...new Set(Array.from({ length: count + 1 }, (_, index) => quantileOf(known, index / count)))];
  const groups = new Map<string, number[]>();
  const label = (index: number): string => `[${short(edges[index])}, ${short(edges[index + 1] ?? edges[index])}${index >= edges.length - 2 ? "]" : ")"}`;
  for (let index = 0; index < Math.max(1, edges.length - 1) && known.length > 0; index++) groups.set(label(index), []);
  values.forEach((value, row) => {
    if (Number.isNaN(value)) return add(groups, "missing", row);
    let range = 0;
    while (range < edges.length - 2 && value >= (edges[range + 1] ?? Infinity)) range++;
    add(groups, label(range), row);
  });
  return groups;
}

function add(groups: Map<string, number[]>, key: string, row: number): void {
  const rows = groups.get(key);
  if (rows === undefined) groups.set(key, [row]);
  else rows.push(row);
}

function short(value: number | undefined): string {
  return String(Number((value ?? 0).toPrecision(4)));
}
