// The normal distribution between two bounds, in logarithms: a kernel in the far tail of its neighbour has a density that
// no float holds, and its ratio still decides.
// Source: the formulas of scipy.stats.truncnorm, as Optuna 5 uses them in samplers/_tpe/_truncnorm.py.

import { erf, erfc } from "./error-function.ts";

const LOG_SQRT_2PI = Math.log(Math.sqrt(2 * Math.PI));
const NEWTON_STEPS_MAX = 100;
const NEWTON_TOLERANCE = 1e-8;
/** A series that is as good as exact this far out. */
const ASYMPTOTIC_BELOW = -20;

/** Logarithm of the normal distribution function. */
export function logNormalCdf(x: number): number {
  if (x === Infinity) return 0;
  if (x === -Infinity) return -Infinity;
  if (x > 6) return -normalCdf(-x);
  if (x > ASYMPTOTIC_BELOW) return Math.log(normalCdf(x));
  let sum = 1;
  let term = 1;
  let before = 0;
  for (let k = 1; Math.abs(before - sum) > Number.EPSILON; k++) {
    before = sum;
    term *= -(2 * k - 1) / (x * x);
    sum += term;
  }
  return -0.5 * x * x - Math.log(-x) - LOG_SQRT_2PI + Math.log(sum);
}

/** Logarithm of the probability between `a` and `b`; -Infinity where they are equal. */
export function logNormalMass(a: number, b: number): number {
  // Differences are exact in the left tail only; the right one is its mirror image.
  if (b <= 0) return logDifference(logNormalCdf(b), logNormalCdf(a));
  if (a > 0) return logDifference(logNormalCdf(-a), logNormalCdf(-b));
  return Math.log1p(-normalCdf(a) - normalCdf(-b));
}

/** Logarithm of the density at x of the normal (mu, sigma) cut to [low, high]. */
export function logTruncatedPdf(x: number, mu: number, sigma: number, low: number, high: number): number {
  if (x < low || x > high) return -Infinity;
  const z = (x - mu) / sigma;
  return -0.5 * z * z - LOG_SQRT_2PI - Math.log(sigma) - logNormalMass((low - mu) / sigma, (high - mu) / sigma);
}

/** Where the distribution function of the normal (mu, sigma) cut to [low, high] reaches a share from 0 to 1. */
export function truncatedQuantile(share: number, mu: number, sigma: number, low: number, high: number): number {
  if (share <= 0) return low;
  if (share >= 1) return high;
  const a = (low - mu) / sigma;
  const b = (high - mu) / sigma;
  const logMass = logNormalMass(a, b);
  const z = a < 0 ? inverseLogCdf(logSum(logNormalCdf(a), Math.log(share) + logMass)) : -inverseLogCdf(logSum(logNormalCdf(-b), Math.log1p(-share) + logMass));
  return Math.min(high, Math.max(low, z * sigma + mu));
}

/** The x with logNormalCdf(x) = y, by Newton's method from an approximation of the part of the curve that y lies on. */
function inverseLogCdf(y: number): number {
  const flipped = y > -1e-2;
  const target = flipped ? Math.log(-Math.expm1(y)) : y;
  let x = target < -5 ? -Math.sqrt(-2 * (target + LOG_SQRT_2PI)) : (-Math.sqrt(3) / Math.PI) * Math.log(Math.expm1(-target));
  for (let step = 0; step < NEWTON_STEPS_MAX; step++) {
    const value = logNormalCdf(x);
    const change = (value - target) * Math.exp(value + 0.5 * x * x + LOG_SQRT_2PI);
    x -= change;
    if (!(Math.abs(change) >= NEWTON_TOLERANCE * Math.abs(x))) break;
  }
  return flipped ? -x : x;
}

function normalCdf(x: number): number {
  const z = x / Math.SQRT2;
  if (z < -Math.SQRT1_2) return 0.5 * erfc(-z);
  return z < Math.SQRT1_2 ? 0.5 + 0.5 * erf(z) : 1 - 0.5 * erfc(z);
}

function logDifference(larger: number, smaller: number): number {
  return smaller === -Infinity ? larger : larger + Math.log1p(-Math.exp(smaller - larger));
}

/** log(e^p + e^q). */
export function logSum(p: number, q: number): number {
  const larger = Math.max(p, q);
  return larger === -Infinity ? -Infinity : larger + Math.log1p(Math.exp(Math.min(p, q) - larger));
}
