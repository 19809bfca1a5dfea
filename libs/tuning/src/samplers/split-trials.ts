import type { Direction, Trial } from "../trial.ts";

/**
 * Splits trials into the `goodCount` best and the rest, each side oldest first. COMPLETE ones are better than PRUNED ones;
 * of those the one that got further is better, then the one with the better last value. RUNNING ones are bad until they
 * show otherwise.
 */
export function splitTrials(trials: readonly Trial[], direction: Direction, goodCount: number): { readonly good: Trial[]; readonly bad: Trial[] } {
  const sign = direction === "minimize" ? 1 : -1;
  const complete = trials.filter(({ state }) => state === "COMPLETE").sort((a, b) => compare([sign * (a.objective ?? NaN)], [sign * (b.objective ?? NaN)]));
  const pruned = trials.filter(({ state }) => state === "PRUNED").sort((a, b) => compare(prunedScore(a, sign), prunedScore(b, sign)));
  const good = new Set([...complete, ...pruned].slice(0, goodCount));
  const oldestFirst = (side: readonly Trial[]): Trial[] => [...side].sort((a, b) => a.number - b.number);
  return {
    good: oldestFirst([...good]),
    bad: oldestFirst(trials.filter((trial) => trial.state !== "FAILED" && !good.has(trial))),
  };
}

function prunedScore({ intermediate }: Trial, sign: number): readonly number[] {
  const last = intermediate.at(-1);
  if (last === undefined) return [1, 0];
  return [-last.step, Number.isNaN(last.value) ? Infinity : sign * last.value];
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index] as number, b[index] as number];
    if (x !== y) return x < y || Number.isNaN(y) ? -1 : 1;
  }
  return 0;
}
