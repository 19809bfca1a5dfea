import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, it } from "node:test";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { TrainingJob_State } from "@servable/contracts/training/v1/training_job";
import { createChannel, createClient } from "@servable/grpc";
import { startServer } from "../src/index.ts";
import { controlledExecutor, type ControlledAttempt } from "./support/controlled-executor.ts";
import { DATASET, developer, eventsOf, startHarness, storyOf, type Harness } from "./support/harness.ts";

const ROWS = "a,b\n1,yes\n2,no\n";

/** Says that a checkpoint was written, as a process would. */
function writeCheckpoint(attempt: ControlledAttempt, step: number): void {
  const { checkpointDir = "" } = attempt.input;
  const path = join(checkpointDir, `step-${step}.safetensors`);
  const bytes = `checkpoint ${step} of ${checkpointDir}`;
  writeFileSync(path, bytes);
  attempt.say({ kind: "checkpoint", checkpoint: { path, sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length, step, epoch: 1, metrics: { accuracy: 0.5 }, best: false } });
}

const until = async (what: () => Promise<boolean>): Promise<void> => {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
};
const checkpointSteps = async (harness: Harness, name: string): Promise<number[]> => (await harness.client().listTrainingCheckpoints({ parent: name })).checkpoints.map(({ step }) => Number(step));

describe("jobs that share", () => {
  it("a service: a job of higher priority takes the place of another of its project, which goes on from its checkpoint", async () => {
    const executor = controlledExecutor();
    await using harness = await startHarness({ execute: executor.execute });
    await harness.upload("rows", { data: ROWS });
    const low = await harness.create("low");
    const first = await executor.next();
    for (const step of [5, 10, 15]) writeCheckpoint(first, step);
    await until(async () => (await checkpointSteps(harness, low.name))[0] === 15);
    assert.deepEqual(await checkpointSteps(harness, low.name), [15, 10]); // Two are kept.

    const high = await harness.client().createTrainingJob({ parent: "projects/p", trainingJobId: "high", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "b" }, priority: 5 } });
    const urgent = await executor.next();
    assert.ok(first.signal.aborted && first.signal.reason === "preempted");
    urgent.succeed();
    const again = await executor.next();
    assert.deepEqual(again.input.checkpoints?.map(({ step }) => step), [15, 10]);
    again.succeed();

    assert.deepEqual(storyOf(await eventsOf(harness.client(), low.name)).filter((word) => word !== "?"), ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.equal((await harness.client().getTrainingJob({ name: high.name })).state, TrainingJob_State.SUCCEEDED);
  });

  it("a database: a job is run once, a silent service loses it, and what its attempt says then is refused", async () => {
    const [one, two] = [controlledExecutor(), controlledExecutor()];
    let nowMs = Date.now();
    const now = (): number => nowMs;
    await using harness = await startHarness({ execute: one.execute, now }, { leaseMs: 30_000 });
    await harness.upload("rows", { data: ROWS });
    const { name } = await harness.create("shared");
    const stale = await one.next();
    writeCheckpoint(stale, 5);
    await until(async () => (await checkpointSteps(harness, name)).length === 1);

    const listen = `${harness.config.listen}2`;
    const second = await startServer({ ...harness.config, listen, owner: "another service", workDir: `${harness.config.workDir}2` }, { execute: two.execute, now });
    try {
      const channel = createChannel(listen, { token: "t" });
      const client = createClient(TrainingService, channel, { identity: developer, timeoutMs: 20_000 });
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(two.startedCount(), 0); // The first one's lease holds.

      nowMs += 31_000; // Nobody renewed it: the first service hangs.
      const next = await two.next();
      assert.deepEqual(next.input.checkpoints?.map(({ step }) => step), [5]);
      writeCheckpoint(stale, 50);
      stale.progress(50);
      await until(async () => stale.signal.aborted);
      assert.equal(stale.signal.reason, "lost");
      next.succeed("the second's");

      const job = await client.getTrainingJob({ name });
      await eventsOf(client, name);
      assert.equal((await client.getTrainingJob({ name })).state, TrainingJob_State.SUCCEEDED);
      assert.equal(job.attemptCount, 2);
      assert.deepEqual(await checkpointSteps(harness, name), [5]);
      assert.deepEqual(harness.registry.versions.map(({ sha256 }) => sha256), [createHash("sha256").update("the second's").digest("hex")]);
      assert.ok(storyOf(await eventsOf(client, name)).every((word) => word !== "step 50"));
      channel.close();
    } finally {
      await second[Symbol.asyncDispose]();
    }
  });

  it("a queue: quotas hold for each project, and a paused job waits outside of it", async () => {
    const executor = controlledExecutor();
    await using harness = await startHarness({ execute: executor.execute }, { projectQueuedMax: 1, queuedMax: 9 });
    await harness.upload("rows", { data: ROWS });
    await harness.create("running");
    const running = await executor.next();
    await harness.create("waiting");

    await assert.rejects(harness.create("more"), /SERVABLE_TRAINING_PROJECT_QUEUED_MAX/);
    const paused = await harness.client().pauseTrainingJob({ name: "projects/p/trainingJobs/waiting" });
    await harness.create("more");

    assert.equal(paused.state, TrainingJob_State.PAUSED);
    await assert.rejects(harness.client().resumeTrainingJob({ name: paused.name }), /SERVABLE_TRAINING_PROJECT_QUEUED_MAX/);
    running.succeed();
    (await executor.next()).succeed();
    await eventsOf(harness.client(), "projects/p/trainingJobs/more");
    await harness.client().resumeTrainingJob({ name: paused.name });
    (await executor.next()).succeed();
    assert.deepEqual(storyOf(await eventsOf(harness.client(), paused.name)), ["QUEUED", "PAUSED", "QUEUED", "RUNNING", "SUCCEEDED"]);
    await assert.rejects(harness.client().resumeTrainingJob({ name: paused.name }), /only a PAUSED job is resumed/);
  });
});
