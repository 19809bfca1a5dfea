// The trials are split into the good tenth and the rest; each side becomes a density. Where the good are dense and the
// others are not, the next trial goes: of a few draws from the good density the one with the largest ratio.
//
// Parameters that only count under a condition form groups (Optuna's `group=True`): each group is learned from the trials
// in which it counted. RUNNING trials join the bad side ("constant liar"), so that parallel trials keep apart.
//
// Sources: Bergstra et al., Algorithms for Hyper-Parameter Optimization (NeurIPS 2011); Watanabe, Tree-Structured Parzen
// Estimator (arXiv 2304.11127); Optuna 5's TPESampler, with whose results test/ compares.

import { randomStream, type RandomStream } from "@servable/nn";
import { isSingle, valueAt, type Parameter, type ParameterValue } from "../parameter.ts";
import type { Trial } from "../trial.ts";
import { fromNumber, parzenEstimator, toNumber, type Point } from "./parzen-estimator.ts";
import { randomSampler } from "./random.ts";
import type { Sampler, SuggestInput } from "./sampler.ts";
import { splitTrials } from "./split-trials.ts";

/** Settings of TPE; the defaults are Optuna's. */
export interface TpeOptions {
  /** Finished trials before which the start-up sampler answers. @default 10 */
  readonly startupTrials?: number;
  /** Draws from the good density, of which the best is taken. @default 24 */
  readonly candidates?: number;
  /** How many of `count` finished trials are good. @default a tenth, at most 25 */
  readonly goodCount?: (count: number) => number;
  /** Answers before there is enough to learn from. @default random */
  readonly startup?: Sampler;
}

/** The multivariate tree-structured Parzen estimator. */
export function tpeSampler({ startupTrials = 10, candidates = 24, goodCount = (count) => Math.min(Math.ceil(0.1 * count), 25), startup = randomSampler() }: TpeOptions = {}): Sampler {
  return (input) => {
    const others = input.trials.filter(({ number, state }) => number !== input.number && state !== "FAILED");
    const finishedCount = others.filter(({ state }) => state !== "RUNNING").length;
    if (finishedCount < startupTrials) return startup(input);

    const sides = splitTrials(others, input.direction, goodCount(finishedCount));
    const values: Record<string, ParameterValue> = {};
    input.space.groups.forEach((group, index) => {
      if (!input.space.isActive(group, values)) return;
      Object.assign(values, suggestGroup(group.parameters, sides, randomStream(input.seed, `tpe/${input.number}/${index}`), candidates));
    });
    return inSpaceOrder(input, values);
  };
}

function suggestGroup(parameters: readonly Parameter[], { good, bad }: { good: readonly Trial[]; bad: readonly Trial[] }, stream: RandomStream, candidates: number): Record<string, ParameterValue> {
  const searched = parameters.filter((parameter) => !isSingle(parameter));
  const fixed = parameters.filter(isSingle).map((parameter) => [parameter.name, valueAt(parameter, 0)] as const);
  if (searched.length === 0) return Object.fromEntries(fixed);
  const goodDensity = parzenEstimator(searched, pointsOf(searched, good));
  const badDensity = parzenEstimator(searched, pointsOf(searched, bad));
  let best: Point = [];
  let bestRatio = -Infinity;
  for (let candidate = 0; candidate < candidates; candidate++) {
    const point = goodDensity.sample(stream);
    const ratio = goodDensity.logDensity(point) - badDensity.logDensity(point);
    // The first is taken in any case: a ratio may be no number where both densities vanish.
    if (candidate === 0 || ratio > bestRatio) [best, bestRatio] = [point, ratio];
  }
  return Object.fromEntries([...fixed, ...searched.map((parameter, index) => [parameter.name, fromNumber(parameter, best[index] as number)] as const)]);
}

/** The trials in which the group counted, as numbers. */
function pointsOf(parameters: readonly Parameter[], trials: readonly Trial[]): Point[] {
  return trials.flatMap(({ values }) => {
    const point = parameters.map((parameter) => {
      const value = values[parameter.name];
      return value === undefined ? NaN : toNumber(parameter, value);
    });
    return point.some(Number.isNaN) ? [] : [point];
  });
}

function inSpaceOrder({ space }: SuggestInput, values: Readonly<Record<string, ParameterValue>>): Record<string, ParameterValue> {
  return Object.fromEntries(space.parameters.flatMap(({ name }) => (values[name] === undefined ? [] : [[name, values[name]] as const])));
}
