import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { constantSchedule, cosineSchedule, earlyStopping, linearSchedule, oneCycleSchedule, plateau, stepSchedule, warmUp, type Plateau, type Schedule } from "../src/index.ts";

const golden = JSON.parse(readFileSync(new URL("golden/schedules.json", import.meta.url), "utf8")) as { schedules: Record<string, number[]>; values: number[]; plateaus: Record<string, number[]> };

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  "step": stepSchedule({ every: 7, factor: 0.3 }),
  "cosine": cosineSchedule({ steps: 60, floor: 0.1 }),
  "linear": linearSchedule({ steps: 40, floor: 0.2 }),
  "one cycle": oneCycleSchedule({ steps: 60 }),
  "warm-up then cosine": warmUp({ steps: 10, start: 0.1, then: cosineSchedule({ steps: 50 }) }),
};

describe("learning-rate schedules", () => {
  for (const [name, schedule] of Object.entries(SCHEDULES)) {
    it(`are PyTorch's: ${name}`, () => {
      golden.schedules[name]?.forEach((want, step) => assert.ok(Math.abs(schedule(step) - want) < 1e-9, `step ${step}: ${schedule(step)} is not ${want}`)); // f64, other order
      assert.equal(golden.schedules[name]?.length, 60);
    });
  }

  it("stay where they end", () => {
    assert.equal(constantSchedule()(1e9), 1);
    assert.equal(cosineSchedule({ steps: 10, floor: 0.25 })(1e6), 0.25);
    assert.equal(linearSchedule({ steps: 10 })(1e6), 0);
    assert.equal(oneCycleSchedule({ steps: 10 })(1e6), oneCycleSchedule({ steps: 10 })(9));
  });

  it("refuse lengths of 0", () => {
    assert.throws(() => cosineSchedule({ steps: 0 }), /cosineSchedule: steps is 0; it must be above 0/);
    assert.throws(() => stepSchedule({ every: 0 }), /stepSchedule: every is 0/);
  });
});

const PLATEAUS: Readonly<Record<string, readonly [Plateau, (value: number) => number]>> = {
  min: [plateau({ factor: 0.5, patience: 2, threshold: 1e-4, thresholdMode: "relative" }), (value) => value],
  max: [plateau({ mode: "max", factor: 0.5, patience: 2, threshold: 0.01 }), (value) => 1 - value],
  cooldown: [plateau({ factor: 0.1, patience: 1, cooldown: 2, floor: 0.005, threshold: 1e-4, thresholdMode: "relative" }), (value) => value],
};

describe("the plateau schedule", () => {
  for (const [name, [machine, metric]] of Object.entries(PLATEAUS)) {
    it(`is PyTorch's ReduceLROnPlateau: ${name}`, () => {
      let state = machine.initial;

      const factors = golden.values.map((value) => (state = machine.observe(state, metric(value))).factor);

      factors.forEach((factor, index) => assert.ok(Math.abs(factor - (golden.plateaus[name]?.[index] as number)) < 1e-12, `${index}: ${factor}`));
    });
  }

  it("goes on from its state as JSON", () => {
    const machine = plateau({ patience: 1 });
    const before = machine.observe(machine.observe(machine.initial, 1), 2);

    const restored = JSON.parse(JSON.stringify(before)) as typeof before;

    assert.deepEqual(machine.observe(restored, 3), machine.observe(before, 3));
    assert.ok(Math.abs(machine.observe(restored, 3).factor - 0.1) < 1e-15);
  });
});

describe("early stopping", () => {
  it("stops when patience ends, and knows when it was best", () => {
    const machine = earlyStopping({ patience: 2, threshold: 0.01 });
    let state = machine.initial;

    const stopped = [1, 0.5, 0.495, NaN, 0.6].map((value) => (state = machine.observe(state, value)).stopped);

    assert.deepEqual(stopped, [false, false, false, false, true]);
    assert.deepEqual(state, { best: 0.5, bestAt: 2, count: 5, stopped: true });
  });

  it("goes on while the metric improves", () => {
    const machine = earlyStopping({ patience: 0, mode: "max" });
    let state = machine.initial;
    for (const value of [0.1, 0.2, 0.3]) state = machine.observe(state, value);

    assert.equal(state.stopped, false);
    assert.equal(machine.observe(state, 0.3).stopped, true);
  });
});
