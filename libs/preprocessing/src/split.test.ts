import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { seededRandom } from "@servable/testing";
import { PART, givenSplit, groupSplit, randomSplit, rowsOfSplit, stratifiedSplit, timeSplit } from "./split.ts";

/** Beginning of the SHA-256 of the split of 1,000 rows by seed 42. */
const GOLDEN = "c2ef4a229bd85755";
const shares = { validationFraction: 0.2, testFraction: 0.1 };
const counts = (assignment: Uint8Array): number[] => [0, 1, 2, 3].map((part) => assignment.filter((each) => each === part).length);
const refused = (reason: string, words: RegExp) => (error: unknown): boolean => error instanceof StatusError && error.reason === reason && words.test(error.message);

describe("splits", () => {
  const random = seededRandom(7);

  it("are the same bytes for the same seed, on every machine", () => {
    const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

    assert.equal(digest(randomSplit(1_000, shares, 42)), digest(randomSplit(1_000, shares, 42)));
    assert.notEqual(digest(randomSplit(1_000, shares, 42)), digest(randomSplit(1_000, shares, 43)));
    assert.equal(digest(randomSplit(1_000, shares, 42)), GOLDEN);
  });

  it("have the shares that were asked for", () => {
    for (const rows of [10, 11, 37, 1_000, 12_345]) {
      assert.deepEqual(counts(randomSplit(rows, shares, rows)), [rows - Math.round(rows * 0.2) - Math.round(rows * 0.1), Math.round(rows * 0.2), Math.round(rows * 0.1), 0]);
    }
  });

  it("keep each class's share when stratified, and a rare class for training", () => {
    const classes = Int32Array.from({ length: 1_000 }, (_, row) => (row < 900 ? 0 : row < 999 ? 1 : 2));

    const assignment = stratifiedSplit(classes, shares, 3);

    const of = (name: number): number[] => counts(assignment.filter((_, row) => classes[row] === name));
    assert.deepEqual(of(0), [630, 180, 90, 0]);
    const [training = 0, validation = 0, test = 0] = of(1);
    assert.ok(Math.abs(validation - 20) <= 1 && Math.abs(test - 10) <= 1 && training >= 68, String(of(1)));
    assert.deepEqual(of(2), [1, 0, 0, 0]);
  });

  it("never divide a group, whatever the sizes", () => {
    for (let round = 0; round < 50; round++) {
      const groupCount = 5 + random.below(60);
      const groups = Int32Array.from({ length: 200 + random.below(500) }, () => (random.chance(50) ? -1 : Math.floor(random.next() ** 2 * groupCount)));

      const assignment = groupSplit(groups, shares, round);

      const parts = new Map<number, number>();
      groups.forEach((group, row) => {
        if (group < 0) return;
        const part = parts.get(group) ?? assignment[row] ?? 0;
        assert.equal(assignment[row], part, `group ${group} is divided (seed ${random.seed})`);
        parts.set(group, part);
      });
    }
  });

  it("train on the past and test on the future, and never divide a moment", () => {
    for (let round = 0; round < 50; round++) {
      const times = Float64Array.from({ length: 100 + random.below(300) }, () => random.below(60));

      const { training, validation, test } = rowsOfSplit(timeSplit(times, shares));

      const range = (rows: Uint32Array): [number, number] => [Math.min(...Array.from(rows, (row) => times[row] as number)), Math.max(...Array.from(rows, (row) => times[row] as number))];
      assert.ok(range(training)[1] < range(validation)[0] && range(validation)[1] < range(test)[0]);
      assert.equal(training.length + validation.length + test.length, times.length);
    }
  });

  it("follow a column that names the parts", () => {
    assert.deepEqual([...givenSplit(Int32Array.of(0, 1, 2, -1, 0), ["Train", "val", "test"])], [PART.training, PART.validation, PART.test, PART.none, PART.training]);
  });

  const bad = [
    { what: "a share above 0.9", run: () => randomSplit(10, { validationFraction: 1, testFraction: 0 }, 1), want: refused("FIELD_INVALID", /validation_fraction is 1/) },
    { what: "shares that leave nothing for training", run: () => randomSplit(10, { validationFraction: 0.5, testFraction: 0.5 }, 1), want: refused("FIELD_INVALID", /leave 0 %/) },
    { what: "one row", run: () => randomSplit(1, shares, 1), want: refused("SPLIT_IMPOSSIBLE", /none would be for validation/) },
    { what: "one group", run: () => groupSplit(new Int32Array(50), shares, 1), want: refused("SPLIT_IMPOSSIBLE", /there are 1 groups/) },
    { what: "one moment", run: () => timeSplit(new Float64Array(50), shares), want: refused("SPLIT_IMPOSSIBLE", /too few moments/) },
    { what: "a row without a time", run: () => timeSplit(Float64Array.of(1, NaN, 3), shares), want: refused("SPLIT_IMPOSSIBLE", /row 2 has no time/) },
    { what: "a word that names no part", run: () => givenSplit(Int32Array.of(0), ["holdout"]), want: refused("SPLIT_IMPOSSIBLE", /"holdout"/) },
  ];
  for (const { what, run, want } of bad) it(`refuse ${what}`, () => assert.throws(run, want));
});
