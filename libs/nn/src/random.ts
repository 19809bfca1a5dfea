// Random numbers of a seed and a name, the same on every machine. A large network draws a hundred million of them, which is
// why the stream itself is 32-bit arithmetic; only its start is SplitMix64. Sources: Steele, Lea & Flood, Fast Splittable
// Pseudorandom Number Generators (2014), figure 17; Blackman & Vigna, Scrambled Linear Pseudorandom Number Generators (2021),
// xoshiro128++.

const GOLDEN = 0x9e3779b97f4a7c15n;
const MASK = (1n << 64n) - 1n;

/** A stream of random numbers. */
export interface RandomStream {
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal. Source: Box & Muller, A Note on the Generation of Random Normal Deviates (1958). */
  normal(): number;
  /** A permutation of 0 … count-1 (Fisher & Yates). */
  permutation(count: number): Uint32Array;
}

/** The stream of a seed and a name; streams of different names are independent. */
export function randomStream(seed: number | bigint, name: string): RandomStream {
  const next = xoshiro(keyOf(seed, name));
  const uniform = (): number => ((next() >>> 5) * 67_108_864 + (next() >>> 6)) / 9_007_199_254_740_992; // (27 bits · 2²⁶ + 26 bits) / 2⁵³
  let spare: number | undefined;
  return {
    uniform,
    normal: () => {
      if (spare !== undefined) {
        const kept = spare;
        spare = undefined;
        return kept;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - uniform())); // 1 - uniform is never 0
      const angle = 2 * Math.PI * uniform();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
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

/** Two words of 64 bits: 128 bits of state that are not all zero. */
function keyOf(seed: number | bigint, name: string): [bigint, bigint] {
  let state = BigInt.asUintN(64, BigInt(seed));
  for (const character of name) state = mix((state + GOLDEN + BigInt(character.codePointAt(0) ?? 0)) & MASK);
  return [mix((state + GOLDEN) & MASK), mix((state + 2n * GOLDEN) & MASK) | 1n];
}

function mix(value: bigint): bigint {
  let z = value;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/** xoshiro128++: 32 bits a call. */
function xoshiro([high, low]: readonly [bigint, bigint]): () => number {
  let [a, b, c, d] = [Number(high >> 32n) | 0, Number(high & 0xffffffffn) | 0, Number(low >> 32n) | 0, Number(low & 0xffffffffn) | 0];
  return () => {
    const sum = (a + d) | 0;
    const result = (((sum << 7) | (sum >>> 25)) + a) | 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}
