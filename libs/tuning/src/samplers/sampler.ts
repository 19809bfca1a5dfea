import type { Assignment, SearchSpace } from "../search-space.ts";
import type { Direction, Trial } from "../trial.ts";

/** All that a suggestion may depend on. */
export interface SuggestInput {
  readonly space: SearchSpace;
  readonly direction: Direction;
  /** The trials so far, by number; RUNNING ones too. */
  readonly trials: readonly Trial[];
  /** Number of the trial that is asked for. */
  readonly number: number;
  readonly seed: number;
}

/**
 * Chooses the values of the next trial: a pure function, the same answer for the same input, on every machine. A study
 * that was killed goes on as if nothing had happened.
 *
 * Answers undefined when everything has been tried, which only a grid says.
 */
export type Sampler = (input: SuggestInput) => Assignment | undefined;
