import type { Pruner } from "./pruner.ts";

/** Bounds of what a trial may report. */
export interface ThresholdOptions {
  /** @default none */
  readonly lower?: number;
  /** @default none */
  readonly upper?: number;
  /** Steps before which a trial is not judged. @default 0 */
  readonly warmupSteps?: number;
}

/** Gives up a trial whose newest value is outside its bounds or no number, e.g. a loss that exploded. */
export function thresholdPruner({ lower = -Infinity, upper = Infinity, warmupSteps = 0 }: ThresholdOptions): Pruner {
  return ({ trial }) => {
    const last = trial.intermediate.at(-1);
    return last !== undefined && last.step >= warmupSteps && !(last.value >= lower && last.value <= upper);
  };
}
