import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Trial_State, TuningObjective_Direction, TuningPruner_Algorithm, TuningSampler_Algorithm, TuningStudy_FinalModel } from "@servable/contracts/training/v1/tuning_study";
import { CrossValidation_Kind } from "@servable/contracts/training/v1/training_job";
import type { TrainingSpecRecord } from "../src/domain/training-spec-record.ts";
import { reason, startHarness, DATASET } from "./support/harness.ts";
import { createStudy, endOfStudy, RATE, stateOf, statesOf, valueAt } from "./support/study-calls.ts";
import { surfaceExecutor, type SurfaceOptions } from "./support/surface-executor.ts";

const rateLoss = ({ learningRate }: TrainingSpecRecord): number => (Math.log10(learningRate) + 2) ** 2;
const choices = (...values: (string | number)[]) => ({ case: "choices" as const, value: { values: values.map((value) => ({ kind: typeof value === "string" ? ({ case: "stringValue", value } as const) : ({ case: "numberValue", value } as const) })) } });

async function studied(options: SurfaceOptions, concurrency = 4) {
  const executor = surfaceExecutor(options);
  const harness = await startHarness({ execute: executor.execute }, { concurrency, queuedMax: 100 });
  await harness.upload("rows", { data: "a,b\n1,yes\n2,no\n3,yes\n4,no\n5,yes\n6,no\n" });
  return { harness, executor };
}

describe("a study", () => {
  it("finds the best settings, registers their model and nothing else", async () => {
    const { harness, executor } = await studied({ loss: rateLoss });
    await using _ = harness;

    const { study, trials } = await endOfStudy(harness, await createStudy(harness, "rates", { maxTrialCount: 12, seed: 3n }));

    assert.equal(stateOf(study), "SUCCEEDED");
    assert.deepEqual(study.trialCounts, { ...study.trialCounts, runningCount: 0, completeCount: 12, failedCount: 0 });
    const best = Math.min(...trials.map(({ objective = Infinity }) => objective));
    assert.equal(study.bestTrial?.objective, best);
    assert.ok(best < 0.1, `best loss ${best}`);
    assert.equal(harness.registry.versions.length, 1);
    assert.equal(study.modelVersion, harness.registry.versions[0]?.name);
    assert.equal(executor.asked.length, 13);
    assert.equal(executor.asked.at(-1)?.spec.learningRate, valueAt(study.bestTrial, "learning_rate"));
    assert.equal((await harness.client().getTrainingJob({ name: trials[0]?.trainingJobs[0] ?? "" })).tuningStudy, study.name);
    assert.deepEqual(study.parameterImportances.map(({ path }) => path), ["learning_rate"]);
  });

  it("compares families, whose own settings count only with them", async () => {
    const { harness, executor } = await studied({ loss: (spec) => (spec.family === "mlp" ? 0.1 : 0.5) + spec.hiddenUnits.length / 100 });
    await using _ = harness;
    const mlp = [{ parameter: "family", values: [{ kind: { case: "stringValue" as const, value: "MLP" } }] }];

    const { study, trials } = await endOfStudy(
      harness,
      await createStudy(harness, "families", {
        maxTrialCount: 11,
        parallelTrialCount: 3,
        objective: { metric: "accuracy" },
        parameters: [
          { path: "family", domain: choices("LOGISTIC_REGRESSION", "FAMILY_MLP") },
          { path: "hidden_units", domain: { case: "choices", value: { values: [8, 16].map((units) => ({ kind: { case: "listValue" as const, value: { values: [{ kind: { case: "numberValue" as const, value: units } }] } } })) } }, conditions: mlp },
          { path: "batch_size", domain: { case: "range", value: { low: 2, high: 5, log: true } } },
        ],
      }),
    );

    assert.equal(stateOf(study), "SUCCEEDED");
    assert.equal(study.objective?.direction, TuningObjective_Direction.MAXIMIZE);
    assert.equal(valueAt(study.bestTrial, "family"), "MLP");
    for (const trial of trials) assert.equal(valueAt(trial, "hidden_units") !== undefined, valueAt(trial, "family") === "MLP", `trial ${trial.number}`);
    for (const { spec } of executor.asked) assert.ok(Number.isInteger(spec.batchSize) && (spec.family === "mlp") === spec.hiddenUnits.length > 0);
  });

  it("tries every combination of a grid once", async () => {
    const { harness } = await studied({ loss: rateLoss });
    await using _ = harness;

    const { study, trials } = await endOfStudy(
      harness,
      await createStudy(harness, "grid", {
        sampler: { algorithm: TuningSampler_Algorithm.GRID, gridPointCount: 3 },
        finalModel: TuningStudy_FinalModel.NONE,
        parallelTrialCount: 4,
        parameters: [{ path: "optimizer", domain: choices("ADAM", "SGD") }, RATE],
      }),
    );

    assert.equal(stateOf(study), "SUCCEEDED");
    assert.equal(new Set(trials.map((trial) => `${String(valueAt(trial, "optimizer"))} ${String(valueAt(trial, "learning_rate"))}`)).size, 6);
    assert.equal(trials.length, 6);
    assert.equal(harness.registry.versions.length, 0);
  });

  it("judges each trial by the mean of its folds, each a job of its own", async () => {
    const { harness, executor } = await studied({ loss: (spec) => rateLoss(spec) + (spec.fold?.index ?? 0) });
    await using _ = harness;

    const { study, trials } = await endOfStudy(harness, await createStudy(harness, "folds", { maxTrialCount: 4, parallelTrialCount: 2, crossValidation: { kind: CrossValidation_Kind.STRATIFIED, foldCount: 3 } }));

    assert.equal(stateOf(study), "SUCCEEDED");
    for (const trial of trials) {
      assert.equal(trial.foldObjectives.length, 3);
      assert.equal(trial.trainingJobs.length, 3);
      assert.ok(Math.abs((trial.objective ?? NaN) - ((trial.foldObjectives[0] ?? NaN) + 1)) < 1e-12); // (0 + 1 + 2) / 3 more than the first
    }
    assert.equal(executor.asked.at(-1)?.spec.fold, undefined);
  });

  it("gives hopeless trials up, and their jobs with them", async () => {
    const { harness, executor } = await studied({ loss: ({ learningRate }) => (learningRate < 0.05 ? 1 : 5), looks: 4 });
    await using _ = harness;

    const { study, trials } = await endOfStudy(
      harness,
      await createStudy(harness, "pruned", {
        maxTrialCount: 8,
        sampler: { algorithm: TuningSampler_Algorithm.GRID, gridPointCount: 8 },
        pruner: { algorithm: TuningPruner_Algorithm.MEDIAN, startupTrialCount: 2 },
        finalModel: TuningStudy_FinalModel.NONE,
      }),
    );

    assert.equal(stateOf(study), "SUCCEEDED");
    assert.deepEqual(statesOf(trials), ["COMPLETE", "COMPLETE", "COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "PRUNED", "PRUNED"]);
    assert.deepEqual(trials[6]?.reports, [{ ...trials[6]?.reports[0], step: 1, value: 5.75 }]);
    assert.equal(executor.stopped(), 3);
  });
});

describe("trials that go wrong", () => {
  it("hang, crash, diverge or answer NaN, and the study comes to its end", async () => {
    const behaviour = ({ batchSize }: TrainingSpecRecord) => (["learn", "hang", "crash", "nan", "refuse"] as const)[batchSize - 1] ?? "learn";
    const { harness } = await studied({ loss: () => 0.5, behaviour });
    await using _ = harness;

    const { study, trials } = await endOfStudy(
      harness,
      await createStudy(harness, "wrong", { sampler: { algorithm: TuningSampler_Algorithm.GRID }, parallelTrialCount: 5, trialSilenceDuration: { seconds: 1n }, parameters: [{ path: "batch_size", domain: choices(1, 2, 3, 4, 5) }] }),
    );

    assert.equal(stateOf(study), "SUCCEEDED");
    assert.deepEqual(statesOf(trials), ["COMPLETE", "FAILED", "FAILED", "FAILED", "FAILED"]);
    assert.deepEqual(trials.map(({ failureReason }) => failureReason), ["", "TRIAL_SILENT", "TRAINING_PROCESS_DIED", "METRIC_NOT_FINITE", "TRAINING_DIVERGED"]);
    assert.match(trials[1]?.failureMessage ?? "", /reported nothing for 1.* s \(trial_silence_duration\)/);
  });

  it("end the study when they are all there is, with the last one's words", async () => {
    const { harness } = await studied({ loss: rateLoss, behaviour: () => "refuse" });
    await using _ = harness;

    const { study, trials } = await endOfStudy(harness, await createStudy(harness, "hopeless", { maxTrialCount: 1000, parallelTrialCount: 2 }));

    assert.equal(stateOf(study), "FAILED");
    assert.equal(study.failureReason, "NO_TRIAL_SUCCEEDED");
    assert.match(study.failureMessage, /trial \d+ says: the loss became infinite \(TRAINING_DIVERGED\)/);
    assert.ok(trials.length < 13);
  });

  it("say which metrics there are when the one asked for is none", async () => {
    const { harness } = await studied({ loss: rateLoss });
    await using _ = harness;

    const { study } = await endOfStudy(harness, await createStudy(harness, "unknown", { maxTrialCount: 1, objective: { metric: "rmse" } }));

    assert.match(study.failureMessage, /its evaluation has no "rmse": it has loss, accuracy/);
  });
});

describe("a study's callers", () => {
  it("watch it from any offset, and see each event once", async () => {
    const { harness } = await studied({ loss: rateLoss });
    await using _ = harness;
    const { name } = await createStudy(harness, "watched", { maxTrialCount: 3, finalModel: TuningStudy_FinalModel.NONE });

    const offsets: bigint[] = [];
    for await (const { offset } of harness.client().watchTuningStudy({ name })) offsets.push(offset);
    const later: bigint[] = [];
    for await (const { offset } of harness.client().watchTuningStudy({ name, afterOffset: 4n })) later.push(offset);

    assert.deepEqual(offsets, offsets.map((_, index) => BigInt(index + 1)));
    assert.deepEqual(later, offsets.slice(4));
  });

  it("cancel it: what runs is stopped, what is found stays", async () => {
    const { harness } = await studied({ loss: rateLoss, behaviour: ({ batchSize }) => (batchSize === 1 ? "learn" : "hang") });
    await using _ = harness;
    const { name } = await createStudy(harness, "cancelled", { parallelTrialCount: 3, sampler: { algorithm: TuningSampler_Algorithm.GRID }, parameters: [{ path: "batch_size", domain: choices(1, 2, 3, 4, 5) }] });
    let begun = 0;
    for await (const { event } of harness.client().watchTuningStudy({ name })) if (event.case === "trialChanged" && event.value.state === Trial_State.RUNNING && ++begun === 4) break;

    await harness.client().cancelTuningStudy({ name });
    const { study, trials } = await endOfStudy(harness, { name });

    assert.equal(stateOf(study), "CANCELLED");
    assert.deepEqual(statesOf(trials), ["COMPLETE", "CANCELLED", "CANCELLED", "CANCELLED"]);
    for (const { trainingJobs } of trials.slice(1)) {
      // Ends when the job has ended; one that was not asked for yet never is.
      for await (const _event of harness.client().watchTrainingJob({ name: trainingJobs[0] ?? "" })) continue;
    }
    await assert.rejects(harness.client().cancelTuningStudy({ name }), reason("STATE_WRONG", "it has ended"));
  });

  it("pause it and resume it", async () => {
    const { harness } = await studied({ loss: rateLoss });
    await using _ = harness;
    const { name } = await createStudy(harness, "paused", { maxTrialCount: 6, finalModel: TuningStudy_FinalModel.NONE });

    assert.equal(stateOf(await harness.client().pauseTuningStudy({ name })), "PAUSED");
    await assert.rejects(harness.client().pauseTuningStudy({ name: `${name}x` }), reason("TUNING_STUDY_NOT_FOUND"));
    await harness.client().resumeTuningStudy({ name });

    assert.equal((await endOfStudy(harness, { name })).trials.length, 6);
  });

  it("get the same study for the same request, and keep its data set", async () => {
    const { harness } = await studied({ loss: rateLoss, behaviour: () => "hang" });
    await using _ = harness;
    const requestId = "123e4567-e89b-42d3-a456-426614174000";
    const ask = () => harness.client().createTuningStudy({ parent: "projects/p", requestId, tuningStudy: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "b" }, parameters: [RATE] } });

    const [first, second] = [await ask(), await ask()];

    assert.equal(second.name, first.name);
    await assert.rejects(harness.client().deleteDataset({ name: DATASET }), reason("RESOURCE_IN_USE"));
    assert.deepEqual((await harness.client().listTuningStudies({ parent: "projects/p" })).tuningStudies.map(({ name }) => name), [first.name]);
  });

  it("read a page about it", async () => {
    const { harness } = await studied({ loss: rateLoss });
    await using _ = harness;
    const { study } = await endOfStudy(harness, await createStudy(harness, "shown", { maxTrialCount: 5 }));

    const { html } = await harness.client().getTuningStudyReport({ name: study.name });

    for (const words of ["Study shown", "5 complete", "Objective by trial", "Settings of the trials", "learning_rate", study.modelVersion]) assert.ok(html.includes(words), words);
    assert.ok(!html.includes("<script"));
  });

  const refused: readonly (readonly [why: string, study: Parameters<typeof createStudy>[2], words: string])[] = [
    ["nothing to vary", { parameters: [] }, "at least one parameter"],
    ["a field that is none", { parameters: [{ path: "speed", domain: choices(1, 2) }] }, `parameters["speed"] is no field that can be varied: family`],
    ["a range of words", { parameters: [{ ...RATE, path: "optimizer" }] }, `parameters["optimizer"] is a word and has a range`],
    ["a family that is none", { parameters: [{ path: "family", domain: choices("FOREST") }] }, `has the choice "FOREST": it can be LOGISTIC_REGRESSION`],
    ["half rows", { parameters: [{ path: "batch_size", domain: { case: "range", value: { low: 0.5, high: 8 } } }] }, `"batch_size" is an int`],
    ["a rate beyond the bounds", { parameters: [{ path: "learning_rate", domain: { case: "range", value: { low: 1, high: 1e6 } } }] }, "learning_rate is 1000000, it must be above 0 to 100"],
    ["layers that only one family has", { parameters: [{ path: "family", domain: choices("LOGISTIC_REGRESSION", "MLP") }, { path: "hidden_units.0", domain: { case: "range", value: { low: 4, high: 8 } } }] }, "only an MLP has hidden layers"],
    ["more folds than rows", { crossValidation: { foldCount: 7 } }, "fold_count is 7 and the data set has 6 rows"],
    ["groups of nothing", { crossValidation: { foldCount: 2, kind: CrossValidation_Kind.GROUP } }, "tuning_study.cross_validation.column is required"],
    ["all rows of a split that keeps some aside", { spec: { targetColumn: "b", split: "s" }, finalModel: TuningStudy_FinalModel.ALL_ROWS }, "would learn from the test rows of spec.split"],
    ["a threshold without a bound", { pruner: { algorithm: TuningPruner_Algorithm.THRESHOLD } }, "neither lower nor upper"],
    ["a grid without an end", { sampler: { algorithm: TuningSampler_Algorithm.GRID, gridPointCount: 400 }, parameters: [RATE, { ...RATE, path: "weight_decay" }] }, "more than 100000 points"],
  ];
  it("are told what is wrong with it before anything runs", async () => {
    const { harness, executor } = await studied({ loss: rateLoss });
    await using _ = harness;

    for (const [why, study, words] of refused) await assert.rejects(createStudy(harness, "refused", study), reason(words.includes("required") ? "FIELD_REQUIRED" : "FIELD_INVALID", words), why);
    assert.equal(executor.asked.length, 0);
  });
});
