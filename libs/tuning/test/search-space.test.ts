import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { searchSpace, sobolPoint, type Parameter } from "../src/index.ts";

describe("a search space", () => {
  const float = (name: string, more: object = {}): Parameter => ({ kind: "float", name, low: 0, high: 1, ...more });
  const cases: readonly (readonly [why: string, parameters: readonly Parameter[], words: RegExp])[] = [
    ["nothing to search", [], /at least one parameter/],
    ["a name twice", [float("x"), float("x")], /"x" is there twice/],
    ["low above high", [float("x", { low: 2 })], /"x" reaches from 2 to 1/],
    ["an infinite bound", [float("x", { high: Infinity })], /"x" reaches from 0 to Infinity: both must be finite/],
    ["a logarithm of zero", [float("x", { log: true })], /"x" is logarithmic and begins at 0/],
    ["a logarithm with steps", [float("x", { low: 1, high: 9, log: true, step: 2 })], /"x" is logarithmic and has a step/],
    ["a step that goes nowhere", [float("x", { step: 0 })], /"x" has step 0/],
    ["an int with halves", [{ kind: "int", name: "n", low: 0.5, high: 3 }], /"n" is an int/],
    ["no choices", [{ kind: "categorical", name: "c", choices: [] }], /"c" has no choices/],
    ["a choice twice", [{ kind: "categorical", name: "c", choices: [[1], [1]] }], /"c" has a choice twice/],
    ["an unknown parent", [float("x", { when: [{ parameter: "y", oneOf: [1] }] })], /"x" depends on "y", which is no parameter/],
    ["a value that the parent never has", [float("x", { when: [{ parameter: "y", oneOf: [7] }] }), float("y")], /"x" waits for "y" = 7, which it never is/],
    ["a circle", [float("x", { when: [{ parameter: "y", oneOf: [1] }] }), float("y", { when: [{ parameter: "x", oneOf: [1] }] })], /circle: x → y → x/],
    ["too many", Array.from({ length: 65 }, (_, index) => float(`x${index}`)), /at most 64 parameters, got 65/],
  ];
  for (const [why, parameters, words] of cases) {
    it(`is refused for ${why}`, () => {
      assert.throws(() => searchSpace(parameters), { reason: "FIELD_INVALID", message: words });
    });
  }

  it("knows what counts, through grandparents", () => {
    const space = searchSpace([
      float("rate", { when: [{ parameter: "optimizer", oneOf: ["sgd"] }] }),
      { kind: "categorical", name: "optimizer", choices: ["adam", "sgd"], when: [{ parameter: "family", oneOf: ["mlp"] }] },
      { kind: "categorical", name: "family", choices: ["linear", "mlp"] },
    ]);

    assert.deepEqual(space.parameters.map(({ name }) => name), ["family", "optimizer", "rate"]);
    assert.ok(space.contains({ family: "mlp", optimizer: "sgd", rate: 0.5 }));
    assert.ok(space.contains({ family: "linear" }));
    assert.ok(!space.contains({ family: "linear", rate: 0.5 }));
    assert.ok(!space.contains({ family: "mlp", optimizer: "sgd" }));
    assert.ok(!space.contains({ family: "mlp", optimizer: "sgd", rate: 1.5 }));
  });
});

describe("Sobol's sequence", () => {
  it("is SciPy's", () => {
    // scipy.stats.qmc.Sobol(5, scramble=False).random(6)[5]
    assert.deepEqual(sobolPoint(5, 5), [0.875, 0.875, 0.125, 0.375, 0.875]);
  });

  for (const seed of [undefined, 1, 2]) {
    it(`puts one of each 2^k points into each of 2^k intervals of every dimension, ${seed === undefined ? "plain" : `scrambled by ${seed}`}`, () => {
      for (const count of [16, 64]) {
        const points = Array.from({ length: count }, (_, index) => sobolPoint(index, 64, seed));
        for (let dimension = 0; dimension < 64; dimension++) {
          assert.equal(new Set(points.map((point) => Math.floor((point[dimension] as number) * count))).size, count, `dimension ${dimension}`);
        }
      }
    });
  }

  it("is another one for another seed", () => {
    assert.notDeepEqual(sobolPoint(3, 4, 1), sobolPoint(3, 4, 2));
  });
});
