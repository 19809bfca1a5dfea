import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tensorOf } from "@servable/tensor";
import fc from "fast-check";
import { baselineOf, completenessError, featuresOf, maskedTensor, occlude, pictureLayout, shapley, spreadOver, windowFeatures, type Predict } from "../src/index.ts";
import { NETWORK } from "./network.ts";

/** A model of shown features, asked in batches. */
const predictOf = (value: (shown: (feature: number) => boolean) => number): Predict => (masks) => Promise.resolve(masks.map((mask) => value((feature) => mask[feature] === 1)));

/** The network of the goldens on features shown or as in the baseline. */
const network = predictOf((shown) => {
  const { x, baseline, w1, b1, w2, b2, target } = NETWORK;
  const values = x.map((value, index) => (shown(index) ? value : (baseline[index] ?? 0)));
  const hidden = b1.map((bias, j) => Math.tanh(values.reduce((sum, value, i) => sum + value * (w1[i]?.[j] ?? 0), bias)));
  const scores = b2.map((bias, k) => hidden.reduce((sum, value, j) => sum + value * (w2[j]?.[k] ?? 0), bias));
  const exps = scores.map(Math.exp);
  return (exps[target] ?? NaN) / exps.reduce((sum, value) => sum + value, 0);
});

const near = (got: ArrayLike<number>, want: readonly number[], tolerance: number): void => {
  for (const [index, value] of want.entries()) assert.ok(Math.abs((got[index] ?? NaN) - value) <= tolerance, `feature ${index}: ${got[index]}, wanted ${value}`);
};

describe("occlusion", () => {
  it("agrees with a second implementation", async () => {
    const found = await occlude({ predict: network, count: 4, batchSize: 3 });

    near(found.values, NETWORK.occlusion, 1e-12);
    near([found.prediction, found.baselinePrediction], [NETWORK.prediction, NETWORK.baselinePrediction], 1e-12);
    assert.equal(found.evaluations, 6);
  });
});

describe("Shapley values", () => {
  it("come close to those of all subsets, within their standard error", async () => {
    const found = await shapley({ predict: network, count: 4, orders: 400, seed: 3 });

    for (const [index, value] of NETWORK.shapley.entries()) {
      const error = found.standardErrors[index] ?? 0;
      assert.ok(Math.abs((found.values[index] ?? NaN) - value) <= 4 * error + 1e-12, `feature ${index}: ${found.values[index]} ± ${error}, exactly ${value}`);
    }
  });

  it("add up exactly, are the weights of linear models, give dummies nothing and equals the same", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 6 }), fc.integer({ min: 0, max: 1000 }), async (weights, seed) => {
        const linear = await shapley({ predict: predictOf((shown) => weights.reduce((sum, weight, feature) => sum + (shown(feature) ? weight : 0), 1)), count: weights.length, orders: 1, seed });
        near(linear.values, weights, 1e-9);

        // A product of the first two, the last one does nothing.
        const count = weights.length + 2;
        const product = await shapley({ predict: predictOf((shown) => (shown(0) && shown(1) ? 3 : 0)), count, orders: 2, seed });
        near([product.values.reduce((sum, value) => sum + value, 0)], [product.prediction - product.baselinePrediction], 1e-9);
        // In each pair of orders, one way the first comes last, the other way the second does: exactly half each.
        near(product.values, [1.5, 1.5, ...new Array<number>(count - 2).fill(0)], 1e-9);
      }),
      { numRuns: 50 },
    );
  });

  it("are the same for the same seed, and others for another", async () => {
    const sample = (seed: number) => shapley({ predict: predictOf((shown) => Number(shown(0)) * 2 ** Number(shown(1)) * 3 ** Number(shown(2)) * (shown(3) ? 0.5 : 1)), count: 4, orders: 2, seed }).then(({ values }) => [...values]);

    assert.deepEqual(await sample(1), await sample(1));
    assert.notDeepEqual(await sample(1), await sample(2));
  });

  it("end between two questions when nobody waits any more", async () => {
    const stop = new AbortController();
    let asked = 0;
    const predict: Predict = (masks) => {
      if (++asked === 2) stop.abort(new Error("gone"));
      return Promise.resolve(masks.map(() => 0));
    };

    await assert.rejects(shapley({ predict, count: 20, orders: 100, batchSize: 4, signal: stop.signal }), /gone/);
    assert.equal(asked, 2);
  });
});

describe("features", () => {
  it("of pictures are windows through all channels, wherever the channels stand", () => {
    assert.deepEqual(pictureLayout([1, 3, 32, 16]), { channels: 3, height: 32, width: 16, channelsLast: false });
    assert.deepEqual(pictureLayout([1, 32, 16, 3]), { channels: 3, height: 32, width: 16, channelsLast: true });
    assert.equal(pictureLayout([1, 4]), undefined);
    assert.equal(pictureLayout([1, 12, 4, 8]), undefined);

    const [first] = windowFeatures("x", { channels: 2, height: 2, width: 3, channelsLast: false }, { size: 2 });
    assert.deepEqual([...(first?.elements ?? [])], [0, 1, 3, 4, 6, 7, 9, 10]);
    const last = windowFeatures("x", { channels: 2, height: 2, width: 3, channelsLast: true }, { size: 2 }).at(-1);
    assert.deepEqual([...(last?.elements ?? [])], [4, 10, 5, 11]);
  });

  it("share out what they are worth, so that the sum stays", () => {
    const features = featuresOf("x", [1, 3, 20, 20], { gridSide: 6, countMax: 64 });
    const values = features.map((_, index) => index - 7);

    const spread = spreadOver("x", [1, 3, 20, 20], features, values);

    assert.ok(completenessError([spread], values.reduce((sum, value) => sum + value, 0), 0) < 1e-9);
    assert.equal(featuresOf("x", [1, 1000], { gridSide: 6, countMax: 64 }).length, 63);
  });

  it("give an element of overlapping windows the mean of their shares", () => {
    const features = windowFeatures("x", { channels: 1, height: 1, width: 3, channelsLast: false }, { size: 2, stride: 1 });

    assert.deepEqual([...spreadOver("x", [1, 1, 1, 3], features, [4, 8]).values], [2, 3, 4]);
  });

  it("are hidden by the baseline's elements", () => {
    const example = tensorOf("INT64", [1, 3], [7n, 8n, 9n]);
    const features = featuresOf("ids", [1, 3], { gridSide: 6, countMax: 64 });

    const masked = maskedTensor(example, baselineOf(1, example), features, Uint8Array.of(1, 0, 1));

    assert.deepEqual(masked, tensorOf("INT64", [1, 3], [7n, 1n, 9n]));
  });
});

describe("texts", () => {
  it("are hidden as a whole, by empty ones", () => {
    const example = tensorOf("BYTES", [1, 2], ["male", "Southampton"]);
    const features = featuresOf("x", [1, 2], { gridSide: 6, countMax: 64 });

    assert.deepEqual(maskedTensor(example, baselineOf("mean", example), features, Uint8Array.of(0, 1)), tensorOf("BYTES", [1, 2], ["", "Southampton"]));
  });
});

describe("baselines", () => {
  const picture = tensorOf("FP32", [1, 1, 8, 8], Array.from({ length: 64 }, (_, index) => (index === 27 ? 64 : 0)));

  it("are zeros, the mean, a blur that keeps the mean, or a number", () => {
    const sum = (kind: Parameters<typeof baselineOf>[0]) => new Float32Array(baselineOf(kind, picture).data.slice().buffer);

    assert.deepEqual(new Set(sum("zeros")), new Set([0]));
    assert.deepEqual(new Set(sum("mean")), new Set([1]));
    assert.deepEqual(new Set(sum(5)), new Set([5]));
    const blurred = sum("blur");
    assert.ok(Math.max(...blurred) < 10 && Math.abs(blurred.reduce((total, value) => total + value, 0) - 64) < 1, String(blurred));
  });

  it("of whole numbers are whole", () => assert.deepEqual(baselineOf("mean", tensorOf("UINT8", [2], [1, 2])), tensorOf("UINT8", [2], [2, 2])));
});
