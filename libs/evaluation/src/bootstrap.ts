// Confidence by resampling: rows are drawn with replacement and the metric is computed again, often. A resample is told as
// a weight for each row (how often it was drawn), so that a metric that sorts its rows sorts them once.

import type { Interval } from "./evaluation-report.ts";
import { randomIndices } from "./random-source.ts";

/** How often each row counts; undefined = once. */
export type RowWeights = Float64Array | undefined;

/** Numbers that depend on how often each row counts; a number may be NaN where a resample gives it no meaning. */
export type Statistics = (weights: RowWeights) => readonly number[];

/** How intervals are found. */
export interface BootstrapOptions {
  /** @default 300 */
  readonly resampleCount?: number;
  /** @default 0.95 */
  readonly level?: number;
  /** Same seed, same interval. @default 0 */
  readonly seed?: number;
  /** `bca` corrects for bias and skew and costs a jackknife on top. @default "percentile" */
  readonly method?: "percentile" | "bca";
}

/** Row × resample products that one call may cost; above it fewer resamples are drawn, down to {@link RESAMPLES_MIN}. */
const WORK_MAX = 30_000_000;
const RESAMPLES_MIN = 50;
/** Groups that the jackknife leaves out one by one. */
const JACKKNIFE_GROUPS_MAX = 200;

/**
 * The interval of each statistic; undefined where more than half of the resamples gave it no meaning.
 *
 * Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), sections 13.3 (percentile) and 14.3 (BCa). With
 * many rows the jackknife of BCa leaves out groups of rows instead of single ones.
 */
export function bootstrapIntervals(rowCount: number, statistics: Statistics, { resampleCount = 300, level = 0.95, seed = 0, method = "percentile" }: BootstrapOptions = {}): (Interval | undefined)[] {
  if (rowCount < 2) return statistics(undefined).map(() => undefined);
  const draw = randomIndices(seed);
  const count = Math.max(RESAMPLES_MIN, Math.min(resampleCount, Math.floor(WORK_MAX / rowCount)));
  const observed = statistics(undefined);
  const samples: number[][] = observed.map(() => []);
  const weights = new Float64Array(rowCount);
  for (let resample = 0; resample < count; resample++) {
    weights.fill(0);
    for (let row = 0; row < rowCount; row++) {
      const drawn = draw(rowCount);
      weights[drawn] = (weights[drawn] ?? 0) + 1;
    }
    statistics(weights).forEach((value, index) => {
      if (Number.isFinite(value)) samples[index]?.push(value);
    });
  }
  const left = method === "bca" ? jackknife(rowCount, statistics) : undefined;
  return samples.map((values, index) => {
    if (values.length < count / 2) return undefined;
    values.sort((a, b) => a - b);
    const tails = [(1 - level) / 2, (1 + level) / 2] as const;
    const [low, high] = left === undefined ? tails : corrected(tails, values, observed[index] ?? 0, left.map((row) => row[index] ?? NaN));
    return { low: quantileOf(values, low), high: quantileOf(values, high), level };
  });
}

/** Statistics with a group of rows left out, one entry for each group. */
function jackknife(rowCount: number, statistics: Statistics): (readonly number[])[] {
  const groups = Math.min(rowCount, JACKKNIFE_GROUPS_MAX);
  return Array.from({ length: groups }, (_, group) => statistics(Float64Array.from({ length: rowCount }, (__, row) => (row % groups === group ? 0 : 1))));
}

/** BCa's probabilities in place of the plain ones; equations 14.10 to 14.15 of the book. */
function corrected(tails: readonly [number, number], sorted: readonly number[], observed: number, left: readonly number[]): readonly [number, number] {
  const below = sorted.reduce((sum, value) => sum + (value < observed ? 1 : value === observed ? 0.5 : 0), 0) / sorted.length;
  if (below <= 0 || below >= 1) return tails;
  const bias = normalQuantile(below);
  const usable = left.filter(Number.isFinite);
  const mean = usable.reduce((a, b) => a + b, 0) / usable.length;
  const squares = usable.reduce((sum, value) => sum + (mean - value) ** 2, 0);
  const cubes = usable.reduce((sum, value) => sum + (mean - value) ** 3, 0);
  const acceleration = squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
  const shifted = tails.map((tail) => {
    const z = bias + normalQuantile(tail);
    return normalProbability(bias + z / (1 - acceleration * z));
  });
  return [shifted[0] ?? tails[0], shifted[1] ?? tails[1]];
}

/** The value below which a share of sorted values lies, interpolated as NumPy's default does. */
export function quantileOf(sorted: ArrayLike<number>, probability: number): number {
  const place = Math.min(1, Math.max(0, probability)) * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below] ?? NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low;
  return low + (high - low) * (place - below);
}

/** Φ. Source: Abramowitz & Stegun 7.1.26 on erf, error below 1.5e-7. */
export function normalProbability(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return z >= 0 ? 1 - tail / 2 : tail / 2;
}

/** Φ⁻¹ by bisection over Φ: called a few times, so plain beats quick. */
export function normalQuantile(probability: number): number {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (normalProbability(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
