import type { RandomStream } from "./random.ts";

/** Values of a weight [fanIn, fanOut]: uniform within ±√(6/(fanIn+fanOut)). Source: Glorot & Bengio 2010, equation 16. */
export function glorotUniform(fanIn: number, fanOut: number, random: RandomStream): Float32Array {
  return uniform(fanIn * fanOut, Math.sqrt(6 / (fanIn + fanOut)), random);
}

/** Values of a weight [fanIn, fanOut] before a relu: uniform within ±√(6/fanIn). Source: He et al. 2015, equation 10. */
export function heUniform(fanIn: number, fanOut: number, random: RandomStream): Float32Array {
  return uniform(fanIn * fanOut, Math.sqrt(6 / fanIn), random);
}

function uniform(count: number, bound: number, random: RandomStream): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) * bound);
}
