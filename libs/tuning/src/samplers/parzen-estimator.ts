// A density made of one kernel for each observed point, all parameters of a group at once, so that what goes together
// stays together: a high learning rate with a large batch. One more kernel, as wide as the space, keeps every place
// possible.
//
// Source: Bergstra et al., Making a Science of Model Search (ICML 2013), in the form of Optuna 5
// (samplers/_tpe/parzen_estimator.py and probability_distributions.py): test/goldens compare weights, bandwidths and
// log densities with it.

import type { RandomStream } from "@servable/nn";
import { nearestValue, sameValue, searchedRange, stepOf, type CategoricalParameter, type NumericParameter, type Parameter, type ParameterValue } from "../parameter.ts";
import { logNormalMass, logTruncatedPdf, truncatedQuantile } from "./truncated-normal.ts";

/** Weight of the kernel that stands for "anywhere". */
const PRIOR_WEIGHT = 1;
/** The newest observations that count fully; older ones fade. */
const FULL_WEIGHT_COUNT = 25;
/** The narrowest kernel is this part of the range, or wider while there are few. */
const NARROWEST_PART = 100;

/** The kernels of one parameter; one for each observation, the last is the prior. */
export type Kernels =
  | { readonly kind: "numeric"; readonly parameter: NumericParameter; readonly mu: Float64Array; readonly sigma: Float64Array; readonly low: number; readonly high: number }
  /** `probabilities`: [kernels, choices]. */
  | { readonly kind: "categorical"; readonly parameter: CategoricalParameter; readonly probabilities: Float64Array };

/** A point as numbers in the order of the group's parameters: the value, or the index of the choice. */
export type Point = readonly number[];

/** A joint density over the parameters of a group. */
export interface ParzenEstimator {
  /** Shares of the kernels, the prior's last; they sum to 1. */
  readonly weights: Float64Array;
  readonly kernels: readonly Kernels[];
  sample(stream: Pick<RandomStream, "uniform">): Point;
  logDensity(point: Point): number;
}

/**
 * Fits a density to observed points.
 *
 * @param points oldest first
 */
export function parzenEstimator(parameters: readonly Parameter[], points: readonly Point[]): ParzenEstimator {
  const weights = kernelWeights(points.length);
  const kernels = parameters.map((parameter, index) => kernelsOf(parameter, Float64Array.from(points, (point) => point[index] as number)));
  const logWeights = weights.map(Math.log);
  return {
    weights,
    kernels,
    sample: (stream) => {
      const kernel = pick(weights, stream.uniform());
      return kernels.map((entry) => sampleKernel(entry, kernel, stream.uniform()));
    },
    logDensity: (point) => {
      const logs = Float64Array.from(logWeights);
      kernels.forEach((entry, index) => addLogDensities(entry, point[index] as number, logs));
      const largest = logs.reduce((a, b) => Math.max(a, b), -Infinity);
      if (largest === -Infinity) return -Infinity;
      return largest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - largest), 0));
    },
  };
}

/** A value as a number for {@link Point}. */
export function toNumber(parameter: Parameter, value: ParameterValue): number {
  return parameter.kind === "categorical" ? parameter.choices.findIndex((choice) => sameValue(choice, value)) : (value as number);
}

/** The value of a number of a {@link Point}. */
export function fromNumber(parameter: Parameter, value: number): ParameterValue {
  return parameter.kind === "categorical" ? (parameter.choices[value] as ParameterValue) : value;
}

/** Shares of `count` observations, the oldest first, and of the prior; beyond {@link FULL_WEIGHT_COUNT} the old ones count less. */
export function kernelWeights(count: number): Float64Array {
  const weights = new Float64Array(count + 1).fill(1);
  weights[count] = PRIOR_WEIGHT;
  if (count >= FULL_WEIGHT_COUNT) {
    const fading = count - FULL_WEIGHT_COUNT;
    for (let index = 0; index < fading; index++) weights[index] = 1 / count + (fading === 1 ? 0 : (index * (1 - 1 / count)) / (fading - 1));
  }
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

function kernelsOf(parameter: Parameter, observed: Float64Array): Kernels {
  if (parameter.kind === "categorical") return categoricalKernels(parameter, observed);
  const [low, high] = searchedRange(parameter);
  const centres = parameter.log === true ? observed.map(Math.log) : observed;
  const count = observed.length;
  const narrowest = (high - low) / Math.min(NARROWEST_PART, count + 2);
  const order = Array.from(centres.keys()).sort((a, b) => (centres[a] as number) - (centres[b] as number));
  const mu = new Float64Array(count + 1);
  const sigma = new Float64Array(count + 1);
  mu.set(centres);
  order.forEach((observation, rank) => {
    const centre = centres[observation] as number;
    const left = rank > 0 ? centre - (centres[order[rank - 1] as number] as number) : count > 1 ? 0 : centre - low;
    const right = rank < count - 1 ? (centres[order[rank + 1] as number] as number) - centre : count > 1 ? 0 : high - centre;
    sigma[observation] = Math.min(high - low, Math.max(narrowest, left, right));
  });
  mu[count] = 0.5 * (low + high);
  sigma[count] = high - low;
  return { kind: "numeric", parameter, mu, sigma, low, high };
}

function categoricalKernels(parameter: CategoricalParameter, observed: Float64Array): Kernels {
  const count = observed.length + 1;
  const choices = parameter.choices.length;
  const probabilities = new Float64Array(count * choices).fill(PRIOR_WEIGHT / count);
  observed.forEach((choice, kernel) => (probabilities[kernel * choices + choice] = PRIOR_WEIGHT / count + 1));
  for (let kernel = 0; kernel < count; kernel++) {
    const row = probabilities.subarray(kernel * choices, (kernel + 1) * choices);
    const sum = row.reduce((a, b) => a + b, 0);
    row.forEach((value, index) => (row[index] = value / sum));
  }
  return { kind: "categorical", parameter, probabilities };
}

function sampleKernel(kernels: Kernels, kernel: number, share: number): number {
  if (kernels.kind === "categorical") {
    const choices = kernels.parameter.choices.length;
    return pick(kernels.probabilities.subarray(kernel * choices, (kernel + 1) * choices), share);
  }
  const { parameter, mu, sigma, low, high } = kernels;
  const drawn = truncatedQuantile(share, mu[kernel] as number, sigma[kernel] as number, low, high);
  return nearestValue(parameter, parameter.log === true ? Math.exp(drawn) : drawn);
}

/** Adds to `logs` each kernel's log density at a value; a stepped parameter has the probability of its step. */
function addLogDensities(kernels: Kernels, value: number, logs: Float64Array): void {
  if (kernels.kind === "categorical") {
    const choices = kernels.parameter.choices.length;
    for (let kernel = 0; kernel < logs.length; kernel++) logs[kernel] = (logs[kernel] as number) + Math.log(kernels.probabilities[kernel * choices + value] as number);
    return;
  }
  const { parameter, mu, sigma, low, high } = kernels;
  const scale = parameter.log === true ? Math.log : (x: number): number => x;
  const half = stepOf(parameter) / 2;
  const [from, to] = [scale(value - half), scale(value + half)];
  for (let kernel = 0; kernel < logs.length; kernel++) {
    const centre = mu[kernel] as number;
    const width = sigma[kernel] as number;
    const log =
      half === 0
        ? logTruncatedPdf(from, centre, width, low, high)
        : logNormalMass((from - centre) / width, (to - centre) / width) - logNormalMass((low - centre) / width, (high - centre) / width);
    logs[kernel] = (logs[kernel] as number) + log;
  }
}

/** The index at which the running sum passes a share. */
function pick(probabilities: Float64Array, share: number): number {
  let sum = 0;
  for (let index = 0; index < probabilities.length - 1; index++) {
    sum += probabilities[index] as number;
    if (share <= sum) return index;
  }
  return probabilities.length - 1;
}

