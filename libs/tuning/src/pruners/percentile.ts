// A trial whose best value so far is worse than what most finished trials had at the same step will hardly win.
// Source: the median stopping rule of Golovin et al., Google Vizier (KDD 2017), in the form of Optuna 5's PercentilePruner.

import { isBetter, type Trial } from "../trial.ts";
import type { Pruner } from "./pruner.ts";

/** Settings of the rule. */
export interface PercentileOptions {
  /** Trials in the better so many percent go on. @default 50, the median */
  readonly percentile?: number;
  /** Finished trials before which nothing is given up. @default 5 */
  readonly startupTrials?: number;
  /** Steps before which a trial is not judged. @default 0 */
  readonly warmupSteps?: number;
  /** A trial is judged every so many steps. @default 1 */
  readonly intervalSteps?: number;
  /** Finished trials that must have reported the step. @default 1 */
  readonly comparedTrials?: number;
}

/** The median stopping rule and its relatives. */
export function percentilePruner({ percentile = 50, startupTrials = 5, warmupSteps = 0, intervalSteps = 1, comparedTrials = 1 }: PercentileOptions = {}): Pruner {
  return ({ direction, trials, trial }) => {
    const last = trial.intermediate.at(-1);
    const complete = trials.filter(({ state }) => state === "COMPLETE");
    if (last === undefined || last.step < warmupSteps || complete.length === 0 || complete.length < startupTrials) return false;
    if (!isFirstOfInterval(trial, last.step, warmupSteps, intervalSteps)) return false;
    const own = trial.intermediate.map(({ value }) => value).filter((value) => !Number.isNaN(value));
    if (own.length === 0) return true;
    const best = own.reduce((a, b) => (isBetter(b, a, direction) ? b : a));
    const theirs = complete.flatMap(({ intermediate }) => intermediate.filter(({ step }) => step === last.step).map(({ value }) => value));
    if (theirs.length < comparedTrials) return false;
    const bound = percentileOf(theirs, direction === "minimize" ? percentile : 100 - percentile);
    return isBetter(bound, best, direction);
  };
}

/** Whether no earlier report fell into the interval of this step. */
function isFirstOfInterval({ intermediate }: Trial, step: number, warmupSteps: number, intervalSteps: number): boolean {
  const begin = Math.floor((step - warmupSteps) / intervalSteps) * intervalSteps + warmupSteps;
  const before = intermediate.reduce((latest, entry) => (entry.step !== step && entry.step > latest ? entry.step : latest), -1);
  return before < begin;
}

/** Linear interpolation between the neighbours; NaN values are left out, NaN when nothing is left. */
function percentileOf(values: readonly number[], percent: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const position = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return position === below ? low : low + (high - low) * (position - below);
}
