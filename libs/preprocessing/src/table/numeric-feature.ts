import { ELEMENT_TYPES, cast, concat, div, isNaN, sub, where, type Value } from "@servable/onnx";
import type { NumericData } from "./column-data.ts";
import type { FittedFeature } from "./feature.ts";

/** How numbers become features. */
export interface NumericOptions {
  /** What a missing cell becomes: the training rows' mean or median, or a number. @default "mean" */
  readonly impute: "mean" | "median" | number;
  /** Whether a second feature says that the cell was missing; it is added where a training row misses it. @default false */
  readonly indicator: boolean;
  /**
   * standard: (x - mean)/deviation; min_max: (x - min)/(max - min); robust: (x - median)/(75th - 25th percentile), which
   * outliers do not move; none: as they are. @default "standard"
   */
  readonly scale: "standard" | "min_max" | "robust" | "none";
}

/**
 * Learns a column of numbers from training rows.
 *
 * The model's input: f32 [batch, 1], NaN = missing. All arithmetic is f32 in the order of the nodes, so that the numbers of
 * training and serving are the same bits.
 */
export function numericFeature(data: NumericData, rows: Uint32Array, { impute, indicator, scale }: NumericOptions): FittedFeature {
  const present = rows.reduce((count, row) => count + (Number.isNaN(data.values[row]) ? 0 : 1), 0);
  if (present === 0) return { dropped: "has no value in the training rows" };
  const values = new Float32Array(present);
  let at = 0;
  for (const row of rows) if (!Number.isNaN(data.values[row])) values[at++] = data.values[row] as number;
  const flagged = indicator && present < rows.length;
  const statistics = statisticsOf(values, impute === "median" || scale === "robust");
  if (statistics.min === statistics.max && !flagged) return { dropped: `is ${statistics.min} in all training rows` };
  const fill = Math.fround(impute === "mean" ? statistics.mean : impute === "median" ? statistics.median : impute);
  const [shift, divisor] = scaling(scale, statistics);
  return {
    feature: {
      column: data.name,
      names: flagged ? [data.name, `${data.name} is missing`] : [data.name],
      encoder(column) {
        const { values: cells } = column as NumericData;
        return (row, target, offset) => {
          const cell = cells[row] as number;
          const value = Number.isNaN(cell) ? fill : cell;
          target[offset] = Math.fround(value - shift) / divisor;
          if (flagged) target[offset + 1] = Number.isNaN(cell) ? 1 : 0;
        };
      },
      input: (graph) => graph.input(data.name, "FP32", ["batch", 1]),
      nodes(graph, input) {
        const constant = (value: number): Value => graph.constant("FP32", [1, 1], [value]);
        const missing = isNaN(graph, input);
        const scaled = div(graph, sub(graph, where(graph, missing, constant(fill), input), constant(shift)), constant(divisor));
        return flagged ? concat(graph, [scaled, cast(graph, missing, "FP32", ELEMENT_TYPES.FP32)], 1) : scaled;
      },
    },
  };
}

interface Statistics {
  readonly mean: number;
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
  readonly median: number;
  readonly quartiles: readonly [number, number];
}

/** Values may be in any order afterwards. */
function statisticsOf(values: Float32Array, ordered: boolean): Statistics {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const [min, max] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  if (ordered) values.sort();
  return { mean, deviation: Math.sqrt(variance), min, max, median: quantile(values, 0.5), quartiles: [quantile(values, 0.25), quantile(values, 0.75)] };
}

/** Value below which a share of the ordered values lies, between neighbours by a straight line (Hyndman & Fan 1996, type 7). */
export function quantile(ordered: ArrayLike<number>, share: number): number {
  const place = (ordered.length - 1) * share;
  const below = ordered[Math.floor(place)] as number;
  const above = ordered[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}

/** What is taken away and what is divided by; both f32. Where the spread is none to f32, nothing is divided. */
function scaling(scale: NumericOptions["scale"], { mean, deviation, min, max, median, quartiles: [low, high] }: Statistics): readonly [number, number] {
  const pair = (shift: number, spread: number): readonly [number, number] => {
    const divisor = Math.fround(spread);
    return [Math.fround(shift), divisor > 0 && Number.isFinite(divisor) ? divisor : 1];
  };
  switch (scale) {
    case "standard":
      return pair(mean, deviation);
    case "min_max":
      return pair(min, max - min);
    case "robust":
      return pair(median, high - low);
    case "none":
      return [0, 1];
    default: {
      const never: never = scale;
      throw new TypeError(`unknown scaling ${String(never)}`);
    }
  }
}
