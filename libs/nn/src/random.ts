// Random numbers from a counter, so that the same seed gives the same network on every machine and a stream can be entered
// anywhere. Source: SplitMix64, Steele, Lea & Flood, Fast Splittable Pseudorandom Number Generators (2014), figure 17.

const GOLDEN = 0x9e3779b97f4a7c15n;
const MASK = (1n << 64n) - 1n;

/** A stream of random numbers. */
export interface RandomStream {
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** A permutation of 0 … count-1 (Fisher & Yates). */
  permutation(count: number): Uint32Array;
}

/** The stream of a seed and a name; streams of different names are independent. */
export function randomStream(seed: number | bigint, name: string): RandomStream {
  let state = BigInt.asUintN(64, BigInt(seed));
  for (const character of name) state = mix((state + GOLDEN + BigInt(character.codePointAt(0) ?? 0)) & MASK);
  const uniform = (): number => {
    state = (state + GOLDEN) & MASK;
    return Number(mix(state) >> 11n) / 2 ** 53;
  };
  return {
    uniform,
    permutation: (count) => {
      const order = Uint32Array.from({ length: count }, (_, index) => index);
      for (let index = count - 1; index > 0; index--) {
        const other = Math.floor(uniform() * (index + 1));
        const kept = order[index] as number;
        order[index] = order[other] as number;
        order[other] = kept;
      }
      return order;
    },
  };
}

function mix(value: bigint): bigint {
  let z = value;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}
