import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRule } from "./models-gate.ts";

describe("a gate's rule on the command line", () => {
  for (const [text, want] of [
    ["accuracy>=0.9", { metric: "accuracy", lowerIsBetter: false, min: 0.9 }],
    [" rmse <= 3 ", { metric: "rmse", lowerIsBetter: true, max: 3 }],
    ["accuracy drop<=0.01", { metric: "accuracy", lowerIsBetter: false, worseningMax: 0.01 }],
    ["slice_max_log_loss drop <= 1e-2", { metric: "slice_max_log_loss", lowerIsBetter: true, worseningMax: 0.01 }],
  ] as const) {
    it(`"${text}" is read`, () => assert.deepEqual(parseRule(text), want));
  }

  for (const text of ["accuracy", "accuracy>0.9", "accuracy>=high", "accuracy drop>=0.1", ">=1", ""]) {
    it(`"${text}" is refused with the forms that are`, () => assert.throws(() => parseRule(text), /write "metric>=number"/));
  }
});
