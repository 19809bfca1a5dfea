import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAdam, createSgd, type Optimizer } from "./index.ts";

// Gradient of f(p) = Σ (p - target)², three steps from [1, -2, 0.5]. Goldens: written out by hand in f64 below, an
// independent form of the same update.
const start = [1, -2, 0.5];
const target = [0, 1, 0.5];
const gradientAt = (p: ArrayLike<number>): number[] => target.map((want, index) => 2 * ((p[index] as number) - want));

function run(optimizer: Optimizer, steps: number): number[] {
  const parameters = Float32Array.from(start);
  for (let step = 0; step < steps; step++) optimizer.step(parameters, Float32Array.from(gradientAt(parameters)));
  return Array.from(parameters);
}
const close = (got: readonly number[], want: readonly number[]): void => got.forEach((value, index) => assert.ok(Math.abs(value - (want[index] as number)) < 1e-5, `${got.join()} is not ${want.join()}`)); // f32 state, 3 steps

describe("Adam", () => {
  it("moves by the formula of the paper, with m̂ and v̂ computed apart", () => {
    const p = [...start];
    const [m, v] = [[0, 0, 0], [0, 0, 0]];
    for (let t = 1; t <= 3; t++) {
      gradientAt(p).forEach((g, index) => {
        m[index] = 0.9 * (m[index] as number) + 0.1 * g;
        v[index] = 0.999 * (v[index] as number) + 0.001 * g * g;
        p[index] = (p[index] as number) - (0.1 * (m[index])) / (1 - 0.9 ** t) / (Math.sqrt((v[index]) / (1 - 0.999 ** t)) + 1e-8);
      });
    }

    close(run(createAdam({ size: 3, learningRate: 0.1 }), 3), p);
  });

  it("reaches the minimum", () => close(run(createAdam({ size: 3, learningRate: 0.05 }), 2_000), target));
});

describe("SGD", () => {
  it("moves by learning rate times gradient", () => close(run(createSgd({ size: 3, learningRate: 0.1 }), 1), [0.8, -1.4, 0.5]));

  it("gathers speed with momentum", () => {
    // v₁ = g₁, v₂ = 0.9·v₁ + g₂: [1 → 0.8 → 0.8 - 0.1·(1.8 + 1.6)]
    close(run(createSgd({ size: 3, learningRate: 0.1, momentum: 0.9 }), 2), [0.46, -0.38, 0.5]);
  });

  it("shrinks parameters by weight decay", () => close(run(createSgd({ size: 3, learningRate: 0.1, weightDecay: 1 }), 1), [0.7, -1.2, 0.45]));
});
