/** Random numbers that a printed seed brings back. */
export interface SeededRandom {
  readonly seed: number;
  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** A whole number below `count`. */
  below(count: number): number;
  /** One of the items, which must not be empty. */
  pick<Item>(items: readonly Item[]): Item;
  /** True once in `oneIn` times. */
  chance(oneIn: number): boolean;
  /** The items in another order. */
  shuffled<Item>(items: readonly Item[]): Item[];
}

/**
 * A small generator (mulberry32, by Tommy Ettinger): enough to choose test cases with, no more.
 *
 * @param seed the seed to repeat; absent = another one each time, for the test to print
 */
export function seededRandom(seed: number = (Date.now() ^ (process.pid << 16)) >>> 0): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    seed,
    next,
    below,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    chance: (oneIn) => below(oneIn) === 0,
    shuffled(items) {
      const shuffled = [...items];
      for (let index = shuffled.length - 1; index > 0; index--) {
        const other = below(index + 1);
        [shuffled[index], shuffled[other]] = [shuffled[other] as (typeof items)[number], shuffled[index] as (typeof items)[number]];
      }
      return shuffled;
    },
  };
}
