// Rungs at growing resources: whoever reaches one goes on only when among the best 1/reductionFactor of those that have
// reached it so far. Nobody waits for the others, so that parallel trials never stand idle.
// Source: Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), algorithm 2, stopping instead of
// promoting, as Optuna 5's SuccessiveHalvingPruner.

import type { Direction, Trial } from "../trial.ts";
import type { Pruner } from "./pruner.ts";

/** Settings of asynchronous successive halving. */
export interface SuccessiveHalvingOptions {
  /** Steps to the first rung. @default 1 */
  readonly minResource?: number;
  /** A rung is so many times as far as the one before, and one in so many passes it. @default 4 */
  readonly reductionFactor?: number;
  /** Rungs left out at the begin, which gives trials more time. @default 0 */
  readonly skippedRungs?: number;
}

/** Asynchronous successive halving (ASHA). */
export function successiveHalvingPruner({ minResource = 1, reductionFactor = 4, skippedRungs = 0 }: SuccessiveHalvingOptions = {}): Pruner {
  const rungStep = (rung: number): number => minResource * reductionFactor ** (skippedRungs + rung);
  return ({ direction, trials, trial }) => {
    const last = trial.intermediate.at(-1);
    if (last === undefined) return false;
    for (let rung = rungsPassed(trial.intermediate.slice(0, -1), rungStep).length; last.step >= rungStep(rung); rung++) {
      if (Number.isNaN(last.value)) return true;
      const others = trials.filter(({ number }) => number !== trial.number).flatMap(({ intermediate }) => rungsPassed(intermediate, rungStep)[rung] ?? []);
      if (!isAmongBest(last.value, [...others, last.value], reductionFactor, direction)) return true;
    }
    return false;
  };
}

/** The values at which a trial reached its rungs: the first report at or beyond each. */
function rungsPassed(intermediate: Trial["intermediate"], rungStep: (rung: number) => number): number[] {
  const values: number[] = [];
  for (const { step, value } of intermediate) {
    while (step >= rungStep(values.length)) {
      if (Number.isNaN(value)) break;
      values.push(value);
    }
  }
  return values;
}

function isAmongBest(value: number, competing: readonly number[], reductionFactor: number, direction: Direction): boolean {
  const sorted = [...competing].sort((a, b) => (direction === "minimize" ? a - b : b - a));
  const last = sorted[Math.max(0, Math.floor(sorted.length / reductionFactor) - 1)] as number;
  return direction === "minimize" ? value <= last : value >= last;
}
