import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TrainingJob_State, type TrainingJob, type TrainingLimitsSchema } from "@servable/contracts/training/v1/training_job";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { childProcessExecutor } from "../src/executor/child-process-executor.ts";
import type { TrainingConfig } from "../src/config.ts";
import { DATASET, eventsOf, reason, startHarness, type Harness } from "./support/harness.ts";

const WORKER = fileURLToPath(new URL("./support/scripted-worker.ts", import.meta.url));
const ROWS = "succeed,hang,hang-once,crash,deaf\n1,2,3,4,5\n6,7,8,9,0\n";
const MIB = 1_024 ** 2;

describe("limits of a job", () => {
  let harness: Harness;
  const prepare = async (silenceMaxMs = 60_000, changes: Partial<TrainingConfig> = {}): Promise<void> => {
    harness = await startHarness({ execute: childProcessExecutor({ cancelGraceMs: 300, silenceMaxMs, memoryEveryMs: 20, env: process.env, workerPath: WORKER }) }, changes);
    await harness.upload("rows", { data: ROWS });
  };
  afterEach(() => harness[Symbol.asyncDispose]());
  const run = async (targetColumn: string, limits: MessageInitShape<typeof TrainingLimitsSchema>): Promise<TrainingJob> => {
    const { name } = await harness.client().createTrainingJob({ parent: "projects/p", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn }, limits } });
    await eventsOf(harness.client(), name);
    return harness.client().getTrainingJob({ name });
  };

  it("end one that takes more memory than it may, and that one alone", async () => {
    await prepare();

    const job = await run("hang", { memoryBytes: BigInt(16 * MIB) });

    assert.equal(job.failureReason, "TRAINING_MEMORY_EXCEEDED", job.failureMessage);
    assert.match(job.failureMessage, /MiB in memory, more than the 16 MiB that it may have \(limits\.memory_bytes\)/);
    assert.ok((job.usage?.peakMemoryBytes ?? 0n) > BigInt(16 * MIB));
    assert.equal((await run("succeed", {})).state, TrainingJob_State.SUCCEEDED);
  });

  it("end one that runs longer than it may", async () => {
    await prepare();

    const job = await run("hang", { runDuration: durationFromMs(50) });

    assert.equal(job.failureReason, "TRAINING_TIME_EXCEEDED");
    assert.match(job.failureMessage, /as long as it may \(limits\.run_duration\)/);
  });

  it("end one that costs more than it may", async () => {
    await prepare(60_000, { price: { perHour: 3_600, currency: "EUR" } });

    const job = await run("hang", { cost: 0.05 });

    assert.match(job.failureMessage, /the job cost 0\.05 EUR, as much as it may/);
    assert.ok((job.usage?.cost ?? 0) >= 0.05 && job.usage?.currency === "EUR");
  });

  it("end one whose deadline passes, also while it waits or is paused", async () => {
    await prepare();

    const job = await run("hang", { deadlineTime: timestampFromMs(Date.now() + 100) });
    const late = await run("succeed", { deadlineTime: timestampFromMs(Date.now() - 1) });

    for (const each of [job, late]) assert.match(`${each.failureReason} ${each.failureMessage}`, /TRAINING_TIME_EXCEEDED the job's deadline .* has passed/);
  });

  it("count a process that says nothing as lost", async () => {
    await prepare(400);

    const job = await run("hang-once", {});

    assert.deepEqual([job.state, job.attemptCount], [TrainingJob_State.SUCCEEDED, 2]);
  });

  it("are refused where they make no sense", async () => {
    await prepare();

    await assert.rejects(run("succeed", { cost: -1 }), reason("FIELD_INVALID", "limits.cost"));
    await assert.rejects(run("succeed", { runDuration: durationFromMs(-5) }), reason("FIELD_INVALID", "limits.run_duration"));
    await assert.rejects(
      harness.client().createTrainingJob({ parent: "projects/p", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "succeed" }, priority: 101 } }),
      reason("FIELD_INVALID", "priority"),
    );
  });
});
