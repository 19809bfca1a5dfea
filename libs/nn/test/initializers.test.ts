import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Scope, glorotNormal, glorotUniform, heNormal, heUniform, kaimingUniform, mlp, normal, orthogonal, randomStream, truncatedNormal, uniform, type Initializer } from "../src/index.ts";
import fc from "fast-check";

/** [outputs, inputs]: 250,000 draws, whose sample variance is within 1 % of the true one. */
const SHAPE = [400, 625];
const variance = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0) / values.length;

describe("initialisers", () => {
  const cases: readonly { readonly name: string; readonly initialize: Initializer; readonly want: number; readonly bound: number }[] = [
    { name: "glorotUniform", initialize: glorotUniform, want: 2 / 1025, bound: Math.sqrt(6 / 1025) },
    { name: "glorotNormal", initialize: glorotNormal, want: 2 / 1025, bound: Infinity },
    { name: "heUniform", initialize: heUniform, want: 2 / 625, bound: Math.sqrt(6 / 625) },
    { name: "heNormal", initialize: heNormal, want: 2 / 625, bound: Infinity },
    { name: "kaimingUniform of PyTorch's linear layers", initialize: kaimingUniform, want: 1 / (3 * 625), bound: 1 / Math.sqrt(625) },
    { name: "uniform", initialize: uniform(0.3), want: 0.03, bound: 0.3 },
    { name: "normal", initialize: normal(0.02), want: 0.0004, bound: Infinity },
    // The variance of a standard normal cut off at 2: 1 - 2·2·φ(2)/(Φ(2)-Φ(-2)).
    { name: "truncatedNormal", initialize: truncatedNormal(1), want: 0.77374, bound: 2 },
  ];
  for (const { name, initialize, want, bound } of cases) {
    it(`${name} has the variance of its source and keeps its bound`, () => {
      const values = initialize(SHAPE, randomStream(3, name));

      assert.ok(Math.abs(variance(values) / want - 1) < 0.01, `variance ${variance(values)}, ${want} expected`);
      assert.ok(values.every((value) => Math.abs(value) <= bound));
      assert.ok(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length) < 5 * Math.sqrt(want / values.length));
    });
  }

  for (const shape of [[3, 5], [5, 3], [4, 2, 3]]) {
    it(`orthogonal [${shape.join()}] has orthonormal rows or columns`, () => {
      const [rows = 1, columns = 1] = [shape[0], shape.slice(1).reduce((product, size) => product * size, 1)];
      const values = orthogonal()(shape, randomStream(1, "o"));
      const vectors = rows <= columns ? Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, at) => values[row * columns + at] ?? NaN)) : Array.from({ length: columns }, (_, at) => Array.from({ length: rows }, (_, row) => values[row * columns + at] ?? NaN));

      for (const [left, a] of vectors.entries()) for (const [right, b] of vectors.entries()) assert.ok(Math.abs(a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0) - (left === right ? 1 : 0)) < 1e-6);
    });
  }
});

describe("a scope", () => {
  const build = (seed: number): Scope => {
    const nn = new Scope({ mode: "train", seed });
    mlp(nn, nn.input("x", "FP32", [2, 6]), { hidden: [4], outputs: 2 });
    return nn;
  };

  it("begins with the same parameters for the same seed and others for another", () => {
    const values = (seed: number): Float32Array[] => build(seed).parameters.map(({ initial }) => initial());

    assert.deepEqual(values(1), values(1));
    assert.notDeepEqual(values(1)[0], values(2)[0]);
  });

  it("names parameters as PyTorch and lets weights alone decay", () => {
    assert.deepEqual(build(1).parameters.map(({ name, shape, decay }) => ({ name, shape, decay })), [
      { name: "layers.0.weight", shape: [4, 6], decay: true },
      { name: "layers.0.bias", shape: [4], decay: false },
      { name: "layers.1.weight", shape: [2, 4], decay: true },
      { name: "layers.1.bias", shape: [2], decay: false },
    ]);
  });

  it("refuses a parameter of two shapes", () => {
    const nn = new Scope({ mode: "eval" });
    nn.parameter("w", [2], () => new Float32Array(2));

    assert.throws(() => nn.parameter("w", [3], () => new Float32Array(3)), { name: "GraphError", message: /"w" has shape \[2\] and is asked for as \[3\]/ });
  });
});

describe("random streams", () => {
  it("repeat for a seed and name, and differ for another name", () => {
    const draw = (seed: number, name: string): number[] => {
      const stream = randomStream(seed, name);
      return Array.from({ length: 5 }, () => stream.uniform());
    };

    assert.deepEqual(draw(1, "a"), draw(1, "a"));
    assert.notDeepEqual(draw(1, "a"), draw(1, "b"));
  });

  it("are uniform in [0, 1) and normal around 0", () => {
    const stream = randomStream(5, "u");
    const counts = new Uint32Array(16);
    const normals: number[] = [];
    for (let draw = 0; draw < 64_000; draw++) {
      const at = Math.floor(stream.uniform() * 16);
      counts[at] = (counts[at] ?? NaN) + 1;
      normals.push(stream.normal());
    }

    // χ² of 15 degrees of freedom is above 37.7 once in a thousand.
    assert.ok(counts.reduce((sum, count) => sum + (count - 4000) ** 2 / 4000, 0) < 37.7);
    assert.ok(Math.abs(normals.reduce((sum, value) => sum + value ** 4, 0) / normals.length - 3) < 0.15, "the fourth moment of a normal is 3");
  });

  it("permute every index once", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 200 }), fc.integer(), (count, seed) => assert.deepEqual([...randomStream(seed, "p").permutation(count)].sort((a, b) => a - b), [...Array(count).keys()])));
  });
});
