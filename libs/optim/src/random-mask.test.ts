import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { randomMasks, referenceMask } from "./index.ts";

const sizes = [{ name: "a", size: 10_001, rate: 0.1 }, { name: "b.drop", size: 7, rate: 0.5 }];

describe("random masks", () => {
  it("are those of the plain form", () => {
    const random = randomMasks(sizes);

    for (const step of [1, 2]) {
      random.fill(7n, step, 0);
      for (const size of sizes) assert.deepEqual(random.masks.get(size.name), referenceMask(size, 7n, step, 0));
    }
  });

  it("hold zeros with the chance that was asked for, and a mean of 1", () => {
    const mask = referenceMask({ name: "a", size: 100_000, rate: 0.3 }, 1n, 5, 0);
    const zeros = mask.filter((value) => value === 0).length / mask.length;
    const mean = mask.reduce((sum, value) => sum + value, 0) / mask.length;

    assert.ok(Math.abs(zeros - 0.3) < 0.006, `${zeros}`); // 4 standard deviations of 100,000 draws
    assert.ok(Math.abs(mean - 1) < 0.009, `${mean}`);
  });

  it("differ between steps, batches, names and seeds, without correlation", () => {
    const size = { name: "a", size: 10_000, rate: 0.5 };
    const first = referenceMask(size, 1n, 1, 0);
    const others = [referenceMask(size, 1n, 2, 0), referenceMask(size, 1n, 1, 1), referenceMask({ ...size, name: "b" }, 1n, 1, 0), referenceMask(size, 2n, 1, 0)];

    for (const other of others) {
      const equal = first.filter((value, index) => value === other[index]).length / first.length;
      assert.ok(Math.abs(equal - 0.5) < 0.02, `${equal}`); // 4 standard deviations
    }
  });

  it("have neighbours that do not depend on each other", () => {
    const mask = referenceMask({ name: "a", size: 100_000, rate: 0.5 }, 3n, 1, 0);

    for (const lag of [1, 2, 4, 64, 256]) {
      const equal = mask.subarray(lag).filter((value, index) => value === mask[index]).length / (mask.length - lag);
      assert.ok(Math.abs(equal - 0.5) < 0.0065, `lag ${lag}: ${equal}`); // 4 standard deviations
    }
  });
});
