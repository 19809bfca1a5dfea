import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { seededRandom } from "@servable/testing";
import { groupKFold, kFold, repeatedKFold, stratifiedKFold, timeSeriesFolds, type Fold } from "../src/index.ts";

const golden = JSON.parse(readFileSync(new URL("./goldens/scikit-learn-folds.json", import.meta.url), "utf8")) as {
  readonly kFold: { readonly count: number; readonly folds: number; readonly validation: number[][] };
  readonly stratified: { readonly classes: number[]; readonly folds: number; readonly validation: number[][] };
  readonly group: { readonly groups: number[]; readonly folds: number; readonly validation: number[][] };
  readonly timeSeries: readonly { readonly count: number; readonly folds: number; readonly gap: number; readonly training: number[][]; readonly validation: number[][] }[];
};
const validation = (folds: readonly Fold[]): number[][] => folds.map((fold) => [...fold.validation]);

describe("folds beside scikit-learn's", () => {
  it("are the same: plain", () => assert.deepEqual(validation(kFold(golden.kFold.count, golden.kFold)), golden.kFold.validation));
  it("are the same: stratified", () => assert.deepEqual(validation(stratifiedKFold(golden.stratified.classes, golden.stratified)), golden.stratified.validation));
  it("are the same: by group", () => assert.deepEqual(validation(groupKFold(golden.group.groups, golden.group)), golden.group.validation));
  for (const { count, folds, gap, ...want } of golden.timeSeries) {
    it(`are the same: in time with a gap of ${gap}`, () => {
      const got = timeSeriesFolds(count, { folds, gap });

      assert.deepEqual(validation(got), want.validation);
      assert.deepEqual(got.map(({ training }) => [...training]), want.training);
    });
  }
});

describe("folds of random tables", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed);
    const count = 20 + random.below(200);
    const folds = 2 + random.below(6);
    const labels = Array.from({ length: count }, () => random.pick([0, 0, 0, 0, 1, 1, 2]));

    it(`have every row once in validation and on one side only (seed ${seed})`, () => {
      const groups = Array.from({ length: count }, (_, row) => (row < 10 ? row : random.below(10)));
      for (const [kind, got] of Object.entries({ plain: kFold(count, { folds, seed }), stratified: stratifiedKFold(labels, { folds, seed }), group: groupKFold(groups, { folds }) })) {
        assert.deepEqual(got.flatMap((fold) => [...fold.validation]).sort((a, b) => a - b), Array.from({ length: count }, (_, row) => row), kind);
        for (const fold of got) assert.equal(new Set([...fold.training, ...fold.validation]).size, count, kind);
        for (const fold of got) assert.equal(fold.training.length + fold.validation.length, count, kind);
      }
      for (const fold of groupKFold(groups, { folds })) {
        const learned = new Set([...fold.training].map((row) => groups[row]));
        assert.ok([...fold.validation].every((row) => !learned.has(groups[row])), "no group is on both sides");
      }
    });

    it(`keep the classes' shares to a row when stratified (seed ${seed})`, () => {
      for (const { validation: rows } of stratifiedKFold(labels, { folds, seed })) {
        for (const label of [0, 1, 2]) {
          const got = [...rows].filter((row) => labels[row] === label).length;
          const share = labels.filter((other) => other === label).length / folds;
          assert.ok(Math.abs(got - share) < 1, `class ${label}: ${got} of ${share}`);
        }
      }
    });

    it(`never learn from the future (seed ${seed})`, () => {
      const times = Array.from({ length: count }, () => random.below(50));
      for (const { training, validation: rows } of timeSeriesFolds(times, { folds })) {
        assert.ok(Math.max(...[...training].map((row) => times[row] as number)) <= Math.min(...[...rows].map((row) => times[row] as number)));
      }
    });
  }

  it("differ from repeat to repeat, and come back with the seed", () => {
    const got = repeatedKFold(20, { folds: 4, seed: 5, repeats: 3 });

    assert.equal(got.length, 12);
    assert.notDeepEqual(got[0], got[4]);
    assert.deepEqual(repeatedKFold(20, { folds: 4, seed: 5, repeats: 3 }), got);
  });
});

describe("folds that cannot be", () => {
  const cases: readonly (readonly [why: string, make: () => unknown, words: RegExp])[] = [
    ["more folds than rows", () => kFold(3, { folds: 5 }), /5 folds need at least 5 rows, there are 3/],
    ["one fold", () => kFold(30, { folds: 1 }), /folds is 1, it must be a whole number from 2 to 100/],
    ["fewer groups than folds", () => groupKFold([1, 1, 2, 2], { folds: 3 }), /3 folds need at least 3 groups, there are 2/],
    ["small classes", () => stratifiedKFold([0, 1, 2, 3, 0, 1], { folds: 3 }), /the largest class has 2 rows/],
    ["a gap that eats the past", () => timeSeriesFolds(10, { folds: 4, gap: 2 }), /a gap of 2 leaves nothing to learn from/],
  ];
  for (const [why, make, words] of cases) it(`are refused: ${why}`, () => assert.throws(make, { reason: "FIELD_INVALID", message: words }));
});
