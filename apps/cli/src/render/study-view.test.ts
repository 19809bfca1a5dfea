import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TrialSchema, Trial_State, TuningObjective_Direction, TuningStudySchema, TuningStudy_State } from "@servable/contracts/training/v1/tuning_study";
import { createStudyView, describeStudy, renderTrials } from "./study-view.ts";

const study = create(TuningStudySchema, {
  name: "projects/p/tuningStudies/s",
  state: TuningStudy_State.RUNNING,
  maxTrialCount: 10,
  objective: { metric: "accuracy", direction: TuningObjective_Direction.MAXIMIZE },
  createTime: timestampFromMs(0),
});
const trials = [
  create(TrialSchema, { number: 0, state: Trial_State.COMPLETE, objective: 0.5, values: { learning_rate: { kind: { case: "numberValue", value: 0.0123456 } } } }),
  create(TrialSchema, { number: 1, state: Trial_State.COMPLETE, objective: 0.75, values: { family: { kind: { case: "stringValue", value: "MLP" } } } }),
  create(TrialSchema, { number: 2, state: Trial_State.FAILED, failureReason: "TRIAL_SILENT" }),
  create(TrialSchema, { number: 3, state: Trial_State.RUNNING }),
];

describe("a study on the terminal", () => {
  it("says how far it is and how long it will take", () => {
    // Three of ten ended in 30 s: seven more take 70 s.
    assert.equal(describeStudy(study, trials, 30_000), "s · RUNNING · 3/10 trials · 1 run · 1 failed · about 70 s left");
  });

  it("has the best trials first, then those that run, then those that failed", () => {
    assert.deepEqual(renderTrials(study, trials, 9).split("\n").slice(2).map((line) => line.trim().split(/\s+/)[0]), ["1", "0", "3", "2"]);
  });

  it("is a line for each ended trial where nothing can be redrawn, with the best so far", () => {
    let out = "";
    const view = createStudyView({ write: (text) => (out += text) });

    view.study(study);
    for (const trial of trials) view.trial(trial);
    view.stop();

    assert.equal(out.split("\n").length, 5); // the study, three ended trials, the end
    assert.match(out, /trial 0 COMPLETE 0\.5 · learning_rate=0\.01235 · best 0\.5 \(trial 0\)\n {2}trial 1 COMPLETE 0\.75 · family=MLP · best 0\.75 \(trial 1\)\n {2}trial 2 FAILED TRIAL_SILENT/);
  });

  it("is drawn over itself on a terminal, no line wider than it", () => {
    let out = "";
    const view = createStudyView({ isTTY: true, columns: 40, write: (text) => (out += text) });

    view.study(study);
    for (const trial of trials) view.trial(trial);
    view.stop();

    const [, last = ""] = out.split(/\u001b\[\d+A/);
    assert.match(last, /accuracy/);
    assert.ok(last.split("\n").every((line) => line.replaceAll("\u001b[2K", "").length < 40));
  });
});
