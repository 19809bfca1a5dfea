// The library needs random numbers for resampling only: fast and the same everywhere matters, secrecy does not.

/** Whole numbers from 0 to below `limit` (at most 2³¹). */
export type RandomIndex = (limit: number) => number;

/**
 * A stream of whole numbers that depends on the seed alone.
 *
 * Source: mulberry32 by Tommy Ettinger (public domain); its 32-bit state passes gjrand for the amounts used here.
 */
export function randomIndices(seed: number): RandomIndex {
  let state = (Math.imul(seed | 0, 0x9e3779b1) ^ 0x85ebca6b) >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
