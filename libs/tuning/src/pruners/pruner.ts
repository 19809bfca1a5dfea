import type { Direction, Trial } from "../trial.ts";

/** All that a pruner may look at. */
export interface PruneInput {
  readonly direction: Direction;
  /** All trials with what they reported, the judged one too. */
  readonly trials: readonly Trial[];
  /** The trial that has just reported. */
  readonly trial: Trial;
}

/**
 * Whether a trial that has just reported should be given up: a pure function of what has been reported. A value that is
 * not a number is always given up.
 */
export type Pruner = (input: PruneInput) => boolean;

/** Gives up nothing. */
export const neverPruner: Pruner = () => false;
