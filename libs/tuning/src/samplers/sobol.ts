// Random points clump and leave holes; Sobol's fill the space evenly from the first to the last, in every prefix. With
// dozens of trials and several parameters that is worth as much as twice the trials.
//
// Scrambling keeps the evenness and takes away the pattern: each digit is turned by a hash of the digits above it.
// Sources: Bratley & Fox, Algorithm 659, ACM TOMS 14 (1988); Burley, Practical Hash-based Owen Scrambling, JCGT 9/4 (2020).

import { valueAt, type ParameterValue } from "../parameter.ts";
import type { Sampler } from "./sampler.ts";
import { SOBOL_DIRECTIONS } from "./sobol-directions.ts";

const BITS = 32;

/** Settings of a Sobol sampler. */
export interface SobolOptions {
  /** Whether the seed scrambles the points; without it every seed gives the same ones, beginning with the corner. @default true */
  readonly scramble?: boolean;
}

/** Takes the trials from a Sobol sequence: one dimension for each parameter, also for those that do not always count. */
export function sobolSampler({ scramble = true }: SobolOptions = {}): Sampler {
  return ({ space, number, seed }) => {
    const point = sobolPoint(number, space.parameters.length, scramble ? seed : undefined);
    const values: Record<string, ParameterValue> = {};
    space.parameters.forEach((parameter, dimension) => {
      if (space.isActive(parameter, values)) values[parameter.name] = valueAt(parameter, point[dimension] as number);
    });
    return values;
  };
}

/**
 * The point of an index in the unit cube, each coordinate from 0 to below 1.
 *
 * @param index from 0 to 2³² - 1, in the order of the Gray code, as SciPy counts
 * @param dimensions at most 64
 * @param seed scrambles; absent = plain
 */
export function sobolPoint(index: number, dimensions: number, seed?: number): number[] {
  // In the order of the Gray code each 2^k points fill the same boxes as in the natural order.
  const gray = index ^ (index >>> 1);
  return Array.from({ length: dimensions }, (_, dimension) => {
    const numbers = directionNumbers(dimension);
    let bits = 0;
    for (let bit = 0; bit < BITS; bit++) if (((gray >>> bit) & 1) === 1) bits ^= numbers[bit] as number;
    return ((seed === undefined ? bits : scrambled(bits, hash(seed, dimension))) >>> 0) / 2 ** BITS;
  });
}

const cache = new Map<number, Uint32Array>();

function directionNumbers(dimension: number): Uint32Array {
  const known = cache.get(dimension);
  if (known !== undefined) return known;
  const made = dimension === 0 ? Uint32Array.from({ length: BITS }, (_, bit) => 2 ** (BITS - 1 - bit)) : recurrence(SOBOL_DIRECTIONS[dimension - 1] as readonly number[]);
  cache.set(dimension, made);
  return made;
}

function recurrence([polynomial = 0, ...initial]: readonly number[]): Uint32Array {
  const degree = initial.length;
  const numbers = new Uint32Array(BITS);
  initial.forEach((value, bit) => (numbers[bit] = value * 2 ** (BITS - 1 - bit)));
  for (let bit = degree; bit < BITS; bit++) {
    const before = numbers[bit - degree] as number;
    let next = before ^ (before >>> degree);
    for (let power = 1; power < degree; power++) if (((polynomial >>> (degree - power)) & 1) === 1) next ^= numbers[bit - power] as number;
    numbers[bit] = next >>> 0;
  }
  return numbers;
}

/** Burley, listing 3: the Laine–Karras permutation works from the low bits up, so the bits are reversed around it. */
function scrambled(bits: number, seed: number): number {
  let x = reversed(bits);
  x ^= Math.imul(x, 0x3d20adea);
  x = (x + seed) | 0;
  x = Math.imul(x, (seed >>> 16) | 1);
  x ^= Math.imul(x, 0x05526c56);
  x ^= Math.imul(x, 0x53a22864);
  return reversed(x);
}

function reversed(bits: number): number {
  let x = bits;
  x = ((x >>> 1) & 0x55555555) | ((x & 0x55555555) << 1);
  x = ((x >>> 2) & 0x33333333) | ((x & 0x33333333) << 2);
  x = ((x >>> 4) & 0x0f0f0f0f) | ((x & 0x0f0f0f0f) << 4);
  x = ((x >>> 8) & 0x00ff00ff) | ((x & 0x00ff00ff) << 8);
  return (x >>> 16) | (x << 16);
}

/** 32 well-mixed bits of a seed and a dimension (the finaliser of MurmurHash3). */
function hash(seed: number, dimension: number): number {
  let x = Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(Math.floor(seed / 2 ** 32) | 0, 0x85ebca77) ^ Math.imul(dimension + 1, 0xc2b2ae3d);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
