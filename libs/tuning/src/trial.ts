import type { Assignment } from "./search-space.ts";

/** Whether small or large objectives are good. */
export type Direction = "minimize" | "maximize";

/** RUNNING → COMPLETE | PRUNED | FAILED. */
export type TrialState = "RUNNING" | "COMPLETE" | "PRUNED" | "FAILED";

/** What a trial reported on its way, e.g. the validation loss after an epoch. */
export interface IntermediateValue {
  /** 1, 2, 3 … : the resource that the trial has spent, e.g. epochs. */
  readonly step: number;
  readonly value: number;
}

/** One try: what samplers and pruners know of it. */
export interface Trial {
  /** 0, 1, 2 … in the order of creation. */
  readonly number: number;
  readonly state: TrialState;
  readonly values: Assignment;
  /** Set when COMPLETE. */
  readonly objective?: number | undefined;
  /** By ascending step. */
  readonly intermediate: readonly IntermediateValue[];
}

/** The best COMPLETE trial, the earlier one of equals; undefined before the first. */
export function bestTrial(trials: readonly Trial[], direction: Direction): Trial | undefined {
  let best: Trial | undefined;
  for (const trial of trials) {
    if (trial.state !== "COMPLETE" || trial.objective === undefined || Number.isNaN(trial.objective)) continue;
    if (best?.objective === undefined || isBetter(trial.objective, best.objective, direction)) best = trial;
  }
  return best;
}

/** Whether `a` is better than `b`. */
export function isBetter(a: number, b: number, direction: Direction): boolean {
  return direction === "minimize" ? a < b : a > b;
}
