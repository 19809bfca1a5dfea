// Successive halving must be told how early to judge. Hyperband does not choose: it deals the trials out to brackets, the
// first judging early and often, the last never, and gives each bracket about the same number of steps.
// Source: Li et al., Hyperband, JMLR 18 (2018), with the dealing of Optuna 5's HyperbandPruner.

import { crc32 } from "node:zlib";
import type { Pruner } from "./pruner.ts";
import { successiveHalvingPruner } from "./successive-halving.ts";

/** Settings of Hyperband. */
export interface HyperbandOptions {
  /** Steps to the first rung of the earliest bracket. @default 1 */
  readonly minResource?: number;
  /** Steps of a trial that is not stopped. */
  readonly maxResource: number;
  /** @default 3 */
  readonly reductionFactor?: number;
  /** Deals the trials of different studies differently. @default "study" */
  readonly studyName?: string;
}

/** Hyperband over asynchronous successive halving. */
export function hyperbandPruner({ minResource = 1, maxResource, reductionFactor = 3, studyName = "study" }: HyperbandOptions): Pruner {
  const bracketCount = hyperbandBrackets({ minResource, maxResource, reductionFactor });
  const shares = Array.from({ length: bracketCount }, (_, bracket) => {
    const rungs = bracketCount - 1 - bracket;
    return Math.ceil((bracketCount * reductionFactor ** rungs) / (rungs + 1));
  });
  const total = shares.reduce((sum, share) => sum + share, 0);
  const bracketOf = (number: number): number => {
    let left = crc32(`${studyName}_${number}`) % total;
    return shares.findIndex((share) => (left -= share) < 0);
  };
  const halving = shares.map((_, bracket) => successiveHalvingPruner({ minResource, reductionFactor, skippedRungs: bracket }));
  return ({ direction, trials, trial }) => {
    const bracket = bracketOf(trial.number);
    return (halving[bracket] as Pruner)({ direction, trial, trials: trials.filter(({ number }) => bracketOf(number) === bracket) });
  };
}

/** How many brackets there are. */
export function hyperbandBrackets({ minResource = 1, maxResource, reductionFactor = 3 }: HyperbandOptions): number {
  // The billionth stands against the logarithms' rounding: log(1000)/log(10) is 2.9999999999999996.
  return Math.floor(Math.log(maxResource / minResource) / Math.log(reductionFactor) + 1e-9) + 1;
}
