import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { TuningStudySchema } from "@servable/contracts/training/v1/tuning_study";
import { domainFromFlag, durationFrom, studyFromPlain } from "./study-file.ts";

describe("a study as people write it", () => {
  it("has short forms for what is written most, and the contract's fields beside them", () => {
    const study = studyFromPlain({
      dataset: "adult",
      model: "income",
      spec: { target_column: "income", epoch_count: 5, optimizer: "adamw" },
      parameters: { learning_rate: { low: 1e-4, high: 1, log: true }, family: ["MLP", "LOGISTIC_REGRESSION"], hidden_units: { choices: [[32], [64, 32]], when: { family: "MLP" } } },
      objective: "auc",
      sampler: "tpe",
      pruner: { algorithm: "asha", reduction_factor: 3 },
      trials: 40,
      parallel: 4,
      cross_validation: { kind: "stratified", folds: 5 },
      time_budget: "30m",
      final_model: "ALL_ROWS",
      seed: 7,
    });

    assert.deepEqual(toJson(TuningStudySchema, study), {
      dataset: "adult",
      model: "income",
      spec: { targetColumn: "income", epochCount: 5, optimizer: "OPTIMIZER_ADAMW" },
      parameters: [
        { path: "learning_rate", range: { low: 1e-4, high: 1, log: true } },
        { path: "family", choices: ["MLP", "LOGISTIC_REGRESSION"] },
        { path: "hidden_units", choices: [[32], [64, 32]], conditions: [{ parameter: "family", values: ["MLP"] }] },
      ],
      objective: { metric: "auc" },
      sampler: { algorithm: "ALGORITHM_TPE" },
      pruner: { algorithm: "ALGORITHM_ASHA", reductionFactor: 3 },
      maxTrialCount: 40,
      parallelTrialCount: 4,
      crossValidation: { kind: "KIND_STRATIFIED", foldCount: 5 },
      timeBudget: "1800s",
      finalModel: "FINAL_MODEL_ALL_ROWS",
      seed: "7",
    });
  });

  for (const [text, want] of [
    ["1e-4..1:log", { low: 1e-4, high: 1, log: true }],
    ["0.5..2.5", { low: 0.5, high: 2.5 }],
    ["8..64:8", { low: 8, high: 64, step: 8 }],
    ["MLP,RESNET", ["MLP", "RESNET"]],
    ["16,32", [16, 32]],
    ["[[32],[64,32]]", [[32], [64, 32]]],
  ] as const) {
    it(`reads ${text} of a flag`, () => assert.deepEqual(domainFromFlag("x", text), want));
  }

  it("counts time in words", () => assert.deepEqual([durationFrom("t", "90s"), durationFrom("t", "1.5h"), durationFrom("t", 10)], ["90s", "5400s", "10s"]));

  for (const [why, study, words] of [
    ["a field that is none", { datset: "x" }, /study\.datset is no field: there are name, dataset/],
    ["a word that is none", { sampler: "bayes" }, /study\.sampler\.algorithm is "bayes", it can be RANDOM, GRID, SOBOL, TPE/],
    ["a parameter without a domain", { parameters: { dropout: 3 } }, /parameters\.dropout needs a list of choices, or low and high/],
    ["a time that is none", { time_budget: "soon" }, /time_budget is "soon": write 90s/],
    ["a number that is a word", { trials: "many" }, /max_trial_count/],
  ] as const) {
    it(`is refused for ${why}`, () => assert.throws(() => studyFromPlain(study), { reason: "FIELD_INVALID", message: words }));
  }
});
