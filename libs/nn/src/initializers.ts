// First values of parameters. Weights lie as PyTorch has them: outputs first, [outputs, inputs, kernel…]. A weight's fan-in is
// how many numbers each output is summed from, its fan-out how many each input goes to.

import type { RandomStream } from "./random.ts";
import type { Initializer } from "./scope.ts";

/** Zeros. */
export const zeros: Initializer = (shape) => new Float32Array(count(shape));

/** Ones. */
export const ones: Initializer = (shape) => new Float32Array(count(shape)).fill(1);

/** One number everywhere. */
export const constant = (value: number): Initializer => (shape) => new Float32Array(count(shape)).fill(value);

/** Uniform within ±bound. */
export const uniform = (bound: number): Initializer => (shape, random) => drawn(shape, () => (2 * random.uniform() - 1) * bound);

/** Normal around 0. */
export const normal = (deviation: number): Initializer => (shape, random) => drawn(shape, () => random.normal() * deviation);

/** Normal around 0, drawn again beyond two deviations. */
export const truncatedNormal = (deviation: number): Initializer => (shape, random) => drawn(shape, () => within(random, 2) * deviation);

/** Uniform within ±√(6/(fanIn+fanOut)). Source: Glorot & Bengio 2010, equation 16. */
export const glorotUniform: Initializer = (shape, random) => uniform(Math.sqrt(6 / (fanIn(shape) + fanOut(shape))))(shape, random);

/** Normal of variance 2/(fanIn+fanOut). Source: Glorot & Bengio 2010, equation 12. */
export const glorotNormal: Initializer = (shape, random) => normal(Math.sqrt(2 / (fanIn(shape) + fanOut(shape))))(shape, random);

/** Before a relu: uniform within ±√(6/fanIn). Source: He et al. 2015, equation 10. */
export const heUniform: Initializer = (shape, random) => uniform(Math.sqrt(6 / fanIn(shape)))(shape, random);

/** Before a relu: normal of variance 2/fanIn. Source: He et al. 2015, equation 10. */
export const heNormal: Initializer = (shape, random) => normal(Math.sqrt(2 / fanIn(shape)))(shape, random);

/** PyTorch's own for linear and convolution weights: He's for a leaky relu of slope √5, which is uniform within ±1/√fanIn. Source: torch.nn.Linear.reset_parameters. */
export const kaimingUniform: Initializer = (shape, random) => uniform(1 / Math.sqrt(fanIn(shape)))(shape, random);

/** A random rotation of the rows: orthonormal rows, or columns where there are fewer of those. Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning (2014). */
export const orthogonal = (gain = 1): Initializer => (shape, random) => {
  const rows = shape[0] ?? 1;
  const columns = count(shape) / rows;
  const [many, few] = [Math.max(rows, columns), Math.min(rows, columns)];
  // Gram & Schmidt over `few` vectors of length `many`, each step against what is left of the vector.
  const basis: Float64Array[] = [];
  while (basis.length < few) {
    const vector = Float64Array.from({ length: many }, () => random.normal());
    for (const other of basis) {
      const along = dot(vector, other);
      vector.forEach((value, index) => (vector[index] = value - along * (other[index] ?? 0)));
    }
    const length = Math.sqrt(dot(vector, vector));
    if (length > 1e-9) basis.push(vector.map((value) => (value / length) * gain));
  }
  return Float32Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    return (rows <= columns ? basis[row]?.[column] : basis[column]?.[row]) ?? 0;
  });
};

/** How many numbers each output is summed from. */
export function fanIn(shape: readonly number[]): number {
  return count(shape) / (shape[0] ?? 1);
}

/** How many outputs each input goes to. */
export function fanOut(shape: readonly number[]): number {
  return count(shape) / (shape[1] ?? 1);
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const drawn = (shape: readonly number[], draw: () => number): Float32Array => Float32Array.from({ length: count(shape) }, draw);

function within(random: RandomStream, deviations: number): number {
  for (;;) {
    const value = random.normal();
    if (Math.abs(value) <= deviations) return value;
  }
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
