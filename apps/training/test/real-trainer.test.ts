import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Column_Kind } from "@servable/contracts/training/v1/dataset";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { TrainingJob_State, type TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
import { childProcessInspector } from "../src/executor/child-process-inspector.ts";
import { DATASET, eventsOf, reason, startHarness, storyOf } from "./support/harness.ts";

/** Two clouds that a line separates. */
const ROWS = ["x,y,side", ...Array.from({ length: 80 }, (_, row) => (row % 2 === 0 ? `${row % 7},${row % 5},left` : `${20 + (row % 7)},${20 + (row % 5)},right`))].join("\n");

describe("the service with its real processes", () => {
  it("trains an uploaded table to a registered model", async () => {
    await using harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }) });
    const dataset = await harness.upload("rows", { data: ROWS });

    const { name } = await harness.create("clouds", { targetColumn: "side", epochCount: 20, learningRate: 0.1 });
    const events = await eventsOf(harness.client(), name);

    assert.deepEqual(dataset.columns.map(({ kind }) => kind), [Column_Kind.NUMERIC, Column_Kind.NUMERIC, Column_Kind.CATEGORICAL]);
    const job = await harness.client().getTrainingJob({ name });
    assert.equal(job.state, TrainingJob_State.SUCCEEDED, job.failureMessage);
    assert.ok((job.evaluation?.accuracy ?? 0) > 0.95); // the clouds are 20 apart and 7 wide
    assert.ok(storyOf(events).some((word) => word.startsWith("step")));
    assert.equal(harness.registry.versions[0]?.name, job.modelVersion);
  });

  it("says what a job would need, without starting it, and refuses what the job's begin would refuse", async () => {
    await using harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }) }, { price: { perHour: 3_600, currency: "EUR" } });
    await harness.upload("rows", { data: ROWS });
    const ask = (spec: MessageInitShape<typeof TrainingSpecSchema>) => harness.client().estimateTrainingJob({ parent: "projects/p", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "side", ...spec } } });

    const estimate = await ask({ epochCount: 1_000 });

    assert.deepEqual([estimate.stepCount, estimate.measuredStepCount, estimate.currency], [2_000n, 5, "EUR"]);
    assert.ok(estimate.secondsPerStep > 0 && estimate.cost > 0 && estimate.memoryBytes > 10_000_000n);
    assert.deepEqual((await harness.client().listTrainingJobs({ parent: "projects/p" })).trainingJobs, []);
    await assert.rejects(ask({ batchSize: 5_000 }), reason("FIELD_INVALID", "batch_size"));
  });

  it("refuses a row by its line, and keeps nothing", async () => {
    await using harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }) });

    await assert.rejects(harness.upload("rows", { data: "x,side\n1,left\n2\n" }), reason("DATASET_MALFORMED", "line 3"));

    await assert.rejects(harness.client().getDataset({ name: "projects/p/datasets/rows" }), reason("DATASET_NOT_FOUND"));
  });

  it("refuses a data set that kills its reader, and lives on", async () => {
    const workerPath = fileURLToPath(new URL("./support/dying-inspector.ts", import.meta.url));
    await using harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000, workerPath }) });

    await assert.rejects(harness.upload("rows", { data: ROWS }), reason("DATASET_TOO_LARGE", "SIGKILL"));

    assert.deepEqual((await harness.client().listDatasets({ parent: "projects/p" })).datasets, []);
  });
});
