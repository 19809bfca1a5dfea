import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LatencyCurve, LatencyGoal } from "./index.ts";

describe("latency curve", () => {
  it("knows nothing at first", () => {
    assert.equal(new LatencyCurve().predictUs(8), 0);
    assert.equal(new LatencyCurve().largestWithin(1, 32), 32);
  });

  it("lies on the line between sizes that it has seen, and goes on along it", () => {
    const curve = new LatencyCurve();
    curve.observe(2, 300);
    curve.observe(10, 1_100);

    assert.deepEqual([2, 6, 10, 12].map((size) => curve.predictUs(size)), [300, 700, 1_100, 1_300]);
  });

  it("finds the largest batch that fits a budget", () => {
    const curve = new LatencyCurve();
    for (const size of [1, 16, 32]) curve.observe(size, 100 + 50 * size);

    assert.equal(curve.largestWithin(100 + 50 * 20, 32), 20);
    assert.equal(curve.largestWithin(10, 32), 1);
    assert.equal(curve.largestWithin(1_000_000, 32), 32);
  });

  it("follows a machine that becomes slower", () => {
    const curve = new LatencyCurve();
    for (let run = 0; run < 50; run++) curve.observe(4, 100);
    for (let run = 0; run < 50; run++) curve.observe(4, 300);

    assert.ok(curve.predictUs(4) > 290);
  });

  it("finds the smallest batch that is as good as the best: one where company gains nothing, all where it gains much", () => {
    const learned = (us: (size: number) => number): LatencyCurve => {
      const curve = new LatencyCurve();
      for (let run = 0; run < 20; run++) for (const size of [1, 31, 32]) curve.observe(size, us(size));
      return curve;
    };

    assert.equal(learned((size) => 7_000 * size).efficientSize(32), 1);
    assert.equal(learned((size) => 7_000 * size ** 1.1).efficientSize(32), 1);
    assert.ok(learned((size) => 20 + size).efficientSize(32) >= 28);
    const encoder = learned((size) => 1_300 + 7_400 * size).efficientSize(32);
    assert.ok(encoder > 2 && encoder < 10, `${encoder}`);
    assert.equal(new LatencyCurve().efficientSize(32), 32);
  });

  it("never falls with the size", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 10_000 })), { maxLength: 40 }), (observations) => {
        const curve = new LatencyCurve();
        for (const [size, us] of observations) curve.observe(size, us);
        for (let size = 2; size <= 80; size++) assert.ok(curve.predictUs(size) >= curve.predictUs(size - 1) - 1e-9, `at ${size}`);
      }),
    );
  });
});

describe("latency goal", () => {
  it("gives a run half of the goal, less when answers are late, and again more when they are not", () => {
    const goal = new LatencyGoal(20_000);
    assert.equal(goal.runBudgetUs, 10_000);

    for (let answer = 0; answer < 400; answer++) goal.observe(30_000);
    const narrowed = goal.runBudgetUs;
    assert.ok(narrowed < 6_000);
    for (let answer = 0; answer < 400; answer++) goal.observe(5_000);
    assert.ok(goal.runBudgetUs > narrowed);
  });
});
