import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bootstrapIntervals, evaluateClassification, proportionInterval } from "../src/index.ts";
import { normalProbability, normalQuantile } from "../src/bootstrap.ts";
import { seededRandom } from "@servable/testing";
import { slicesOf } from "../src/slices.ts";

/** Mean of values as a statistic of resamples. */
const meanOf = (values: readonly number[]) => (weights: Float64Array | undefined): number[] => {
  let [sum, count] = [0, 0];
  values.forEach((value, row) => {
    const weight = weights?.[row] ?? 1;
    sum += weight * value;
    count += weight;
  });
  return [sum / count];
};

describe("bootstrap", () => {
  for (const method of ["percentile", "bca"] as const) {
    it(`covers the true mean about as often as it says (${method})`, () => {
      const random = seededRandom(11);
      let covered = 0;
      const rounds = 200;
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: 60 }, () => -Math.log(1 - random.next()));
        const [interval] = bootstrapIntervals(values.length, meanOf(values), { seed: round, method, resampleCount: 200 });
        if (interval !== undefined && interval.low <= 1 && 1 <= interval.high) covered++;
      }

      // 95 % promised; a skewed sample of 60 gets a little less, and 200 rounds wobble by 2 %.
      assert.ok(covered / rounds > 0.88 && covered / rounds < 0.99, `covered ${covered / rounds}`);
    });
  }

  it("has the width of the normal theory for a mean", () => {
    const random = seededRandom(3);
    const values = Array.from({ length: 400 }, () => random.next());

    const [interval] = bootstrapIntervals(values.length, meanOf(values), { resampleCount: 2000 });

    const width = (interval?.high ?? 0) - (interval?.low ?? 0);
    const want = 2 * 1.96 * Math.sqrt(1 / 12 / 400);
    assert.ok(Math.abs(width / want - 1) < 0.12, `width ${width}, theory ${want}`);
  });

  it("gives no interval where most resamples have no value, or there is one row", () => {
    assert.deepEqual(bootstrapIntervals(10, () => [NaN]), [undefined]);
    assert.deepEqual(bootstrapIntervals(1, () => [1]), [undefined]);
  });
});

describe("interval of a share", () => {
  // Values of statsmodels' proportion_confint(method="wilson").
  for (const [hits, count, low, high] of [
    [8, 10, 0.4901625, 0.9433178],
    [0, 20, 0, 0.1611252],
    [20, 20, 0.8388748, 1],
    [450, 500, 0.8705776, 0.9233163],
  ] as const) {
    it(`is Wilson's for ${hits} of ${count}`, () => {
      const interval = proportionInterval(hits, count);

      assert.ok(Math.abs((interval?.low ?? 9) - low) < 1e-5, `${interval?.low}`);
      assert.ok(Math.abs((interval?.high ?? 9) - high) < 1e-5, `${interval?.high}`);
    });
  }

  it("is none of no rows", () => {
    assert.equal(proportionInterval(0, 0), undefined);
  });
});

describe("the normal distribution", () => {
  for (const [probability, z] of [[0.5, 0], [0.975, 1.959964], [0.0013499, -3]] as const) {
    it(`has its quantile ${z} at ${probability}`, () => {
      assert.ok(Math.abs(normalQuantile(probability) - z) < 1e-3);
      assert.ok(Math.abs(normalProbability(z) - probability) < 1e-6);
    });
  }
});

describe("slices", () => {
  it("group by value, most frequent first, the rare ones together", () => {
    const values = ["a", "b", "a", undefined, "c", "b", "a", "d"];

    const slices = slicesOf([{ name: "letter", values }], { rowCountMin: 2, valueCountMax: 2 });

    assert.deepEqual(slices.map(({ value, rows, tooSmall }) => [value, [...rows], tooSmall]), [["a", [0, 2, 6], false], ["b", [1, 5], false], ["other", [3, 4, 7], false]]);
  });

  it("cut a number into ranges of about the same number of rows", () => {
    const slices = slicesOf([{ name: "age", values: Float64Array.from([1, 2, 3, 4, 5, 6, 7, 8, NaN]) }], { rowCountMin: 2 });

    assert.deepEqual(slices.map(({ value, rows, tooSmall }) => [value, rows.length, tooSmall]), [["[1, 2.75)", 2, false], ["[2.75, 4.5)", 2, false], ["[4.5, 6.25)", 2, false], ["[6.25, 8]", 2, false], ["missing", 1, true]]);
  });

  it("cut a constant number into one range", () => {
    assert.deepEqual(slicesOf([{ name: "age", values: Float64Array.from([3, 3, 3]) }]).map(({ value, rows }) => [value, rows.length]), [["[3, 3]", 3]]);
  });

  it("show a group that the model fails, and say nothing of one that is too small", () => {
    const group = Array.from({ length: 104 }, (_, row) => (row < 60 ? "easy" : row < 100 ? "hard" : "tiny"));
    const targets = group.map((_, row) => row % 2);
    const probabilities = targets.map((target, row) => (group[row] === "hard" ? 1 - target : target));

    const { slices } = evaluateClassification({ targets, probabilities, classes: ["no", "yes"], slices: [{ name: "group", values: group }] });

    assert.deepEqual(slices.map(({ value, rowCount, tooSmall, metrics }) => [value, rowCount, tooSmall, metrics["accuracy"]?.value]), [["easy", 60, false, 1], ["hard", 40, false, 0], ["tiny", 4, true, undefined]]);
    assert.equal(slices[1]?.metrics["accuracy"]?.interval?.low, 0);
    assert.ok((slices[1]?.metrics["accuracy"]?.interval?.high ?? 0) < 0.1);
  });
});
