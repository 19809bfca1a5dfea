// Which parameters decide whether a trial is good? Where the best tenth of the trials is spread over a parameter as all
// trials are, it does not matter; where it crowds together, it does. The distance of the two densities is the importance.
//
// Source: Watanabe, Bansal & Hutter, PED-ANOVA (IJCAI 2023), as Optuna 5's PedAnovaImportanceEvaluator.

import { lastValueOf, stepOf, isSingle, sameValue, type NumericParameter, type Parameter } from "./parameter.ts";
import { logNormalMass } from "./samplers/truncated-normal.ts";
import type { SearchSpace } from "./search-space.ts";
import type { Direction, Trial } from "./trial.ts";

const TARGET_SHARE = 0.1;
const GRID_STEPS = 50;
/** Fewer trials with a parameter say nothing about it. */
const TRIALS_MIN = 2;
const DENSITY_FLOOR = 1e-12;
const NARROWEST_SIGMA = 0.5 / 1.64;

/** Each parameter's share of what decides, the largest first; they sum to 1, or all are 0 when there is nothing to say yet. */
export function parameterImportance(space: SearchSpace, trials: readonly Trial[], direction: Direction): { readonly parameter: string; readonly importance: number }[] {
  const sign = direction === "minimize" ? 1 : -1;
  const all = trials.filter(({ state, objective }) => state === "COMPLETE" && Number.isFinite(objective));
  const losses = all.map(({ objective = 0 }) => sign * objective);
  const cutoff = [...losses].sort((a, b) => a - b)[Math.ceil(TARGET_SHARE * all.length) - 1] ?? -Infinity;
  const best = new Set(all.filter((_, index) => (losses[index] as number) <= cutoff));
  const raw = space.parameters.map((parameter) => ({ parameter: parameter.name, importance: divergence(parameter, all, best) }));
  const sum = raw.reduce((total, { importance }) => total + importance, 0);
  return raw.map(({ parameter, importance }) => ({ parameter, importance: sum > 0 ? importance / sum : 0 })).sort((a, b) => b.importance - a.importance);
}

function divergence(parameter: Parameter, all: readonly Trial[], best: ReadonlySet<Trial>): number {
  const having = all.filter(({ values }) => values[parameter.name] !== undefined);
  const target = having.filter((trial) => best.has(trial));
  if (isSingle(parameter) || having.length < TRIALS_MIN || target.length === 0) return 0;
  const everywhere = densityOnGrid(parameter, having);
  const good = densityOnGrid(parameter, target);
  const pearson = everywhere.reduce((sum, density, cell) => sum + density * ((good[cell] as number) / density - 1) ** 2, 0);
  // Where a parameter counts in some trials only, its distance is weighed by how often the good had it.
  const shareOfGood = target.length / best.size;
  return (shareOfGood ** 2 / (having.length / all.length)) * pearson;
}

/** A smooth density over the cells of a grid, or over the choices. */
function densityOnGrid(parameter: Parameter, trials: readonly Trial[]): number[] {
  const cells = parameter.kind === "categorical" ? parameter.choices.length : cellCount(parameter);
  const counts = new Array<number>(cells).fill(0);
  for (const { values } of trials) {
    const value = values[parameter.name];
    const cell = parameter.kind === "categorical" ? parameter.choices.findIndex((choice) => value !== undefined && sameValue(choice, value)) : cellOf(parameter, value as number, cells);
    counts[cell] = (counts[cell] as number) + 1;
  }
  const observed = counts.flatMap((count, cell) => (count > 0 ? [{ cell, count }] : []));
  const total = trials.length + 1;
  const density = parameter.kind === "categorical" ? categoricalDensity(observed, cells, total) : numericDensity(observed, cells, total);
  return density.map((value) => value + DENSITY_FLOOR);
}

type Observed = readonly { readonly cell: number; readonly count: number }[];

function categoricalDensity(observed: Observed, cells: number, total: number): number[] {
  const kernels = observed.length + 1;
  const sum = 1 + cells / kernels;
  return Array.from({ length: cells }, (_, cell) => {
    const own = observed.reduce((density, entry) => density + (entry.count * ((entry.cell === cell ? 1 : 0) + 1 / kernels)) / sum, 0);
    return (own + 1 / cells) / total;
  });
}

function numericDensity(observed: Observed, cells: number, total: number): number[] {
  const width = scottWidth(observed);
  const kernels = [...observed.map(({ cell, count }) => ({ mu: cell, sigma: width, weight: count })), { mu: (cells - 1) / 2, sigma: cells, weight: 1 }];
  return Array.from({ length: cells }, (_, cell) =>
    kernels.reduce((density, { mu, sigma, weight }) => {
      const log = logNormalMass((cell - 0.5 - mu) / sigma, (cell + 0.5 - mu) / sigma) - logNormalMass((-0.5 - mu) / sigma, (cells - 0.5 - mu) / sigma);
      return density + (weight / total) * Math.exp(log);
    }, 0),
  );
}

/** Scott's rule with the interquartile range, whichever is narrower, in cells. */
function scottWidth(observed: Observed): number {
  const total = observed.reduce((sum, { count }) => sum + count, 0);
  const mean = observed.reduce((sum, { cell, count }) => sum + cell * count, 0) / total;
  const deviation = Math.sqrt(observed.reduce((sum, { cell, count }) => sum + (cell - mean) ** 2 * count, 0) / Math.max(1, total - 1));
  const cumulated: number[] = [];
  observed.forEach(({ count }) => cumulated.push((cumulated.at(-1) ?? 0) + count));
  const firstQuarter = cumulated.findIndex((sum) => sum >= Math.floor(total / 4));
  const beyond = cumulated.findIndex((sum) => sum > Math.floor((total * 3) / 4));
  const lastQuarter = beyond === -1 ? observed.length - 1 : beyond;
  const range = (observed[lastQuarter]?.cell ?? 0) - (observed[firstQuarter]?.cell ?? 0);
  return Math.max(NARROWEST_SIGMA, 1.059 * Math.min(range / 1.34, deviation) * total ** -0.2);
}

function cellCount(parameter: NumericParameter): number {
  const { kind, low, log = false } = parameter;
  if (kind === "int" && log) return Math.min(GRID_STEPS, Math.ceil(Math.log2(parameter.high - low + 1)) + 1);
  const step = stepOf(parameter);
  return step === 0 ? GRID_STEPS : Math.min(GRID_STEPS, Math.round((lastValueOf(parameter) - low) / step) + 1);
}

function cellOf(parameter: NumericParameter, value: number, cells: number): number {
  const scale = parameter.log === true ? Math.log : (x: number): number => x;
  const low = scale(parameter.low);
  const size = (scale(lastValueOf(parameter)) - low) / (cells - 1);
  return Math.min(cells - 1, Math.max(0, Math.ceil((scale(value) - low) / size - 0.5)));
}
