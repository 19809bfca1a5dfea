import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { TrainingJob_State, type TrainingJobEvent } from "@servable/contracts/training/v1/training_job";
import { childProcessExecutor } from "../src/executor/child-process-executor.ts";
import { eventsOf, startHarness, storyOf, type Harness } from "./support/harness.ts";

const WORKER = fileURLToPath(new URL("./support/scripted-worker.ts", import.meta.url));
/** The scripted worker does what the target column says, so each script is a column. */
const ROWS = "succeed,hang,hang-once,crash,deaf\n1,2,3,4,5\n6,7,8,9,0\n";

describe("training processes", () => {
  let harness: Harness;
  const prepare = async (cancelGraceMs = 2_000): Promise<void> => {
    harness = await startHarness({ execute: childProcessExecutor({ cancelGraceMs, env: process.env, workerPath: WORKER }) });
    await harness.upload("rows", { data: ROWS });
  };
  afterEach(() => harness[Symbol.asyncDispose]());
  /** The pid that the job's newest process tells. */
  const pidOf = async (name: string, afterOffset = 0n): Promise<{ pid: number; offset: bigint }> => {
    for await (const { offset, event } of harness.client().watchTrainingJob({ name, afterOffset })) {
      if (event.case === "progress") return { pid: Number(event.value.step), offset };
    }
    throw new Error("the job ended without progress");
  };
  const jobOf = (name: string) => harness.client().getTrainingJob({ name });
  const states = (events: readonly TrainingJobEvent[]): string[] => storyOf(events).filter((word) => !word.startsWith("step"));

  it("train in a process of their own", async () => {
    await prepare();
    const { name } = await harness.create("good", { targetColumn: "succeed" });
    const { pid } = await pidOf(name);

    const events = await eventsOf(harness.client(), name);

    assert.notEqual(pid, process.pid);
    assert.deepEqual(states(events), ["QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });

  it("are replaced when one is killed in the middle", async () => {
    await prepare();
    const { name } = await harness.create("killed", { targetColumn: "hang-once" });
    const { pid } = await pidOf(name);

    process.kill(pid, "SIGKILL");

    assert.deepEqual(states(await eventsOf(harness.client(), name)), ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "SUCCEEDED"]);
    const job = await jobOf(name);
    assert.equal(job.attemptCount, 2);
    assert.equal(harness.registry.versions.length, 1);
  });

  it("are given up after the limit", async () => {
    await prepare();
    const { name } = await harness.create("poison", { targetColumn: "crash" });

    assert.deepEqual(states(await eventsOf(harness.client(), name)), ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "QUEUED", "RUNNING", "FAILED"]);

    const job = await jobOf(name);
    assert.equal(job.failureReason, "TRAINING_PROCESS_DIED");
    assert.match(job.failureMessage, /3 times, last by SIGKILL/);
  });

  it("end when their job is cancelled, by force when they do not listen", async () => {
    await prepare(50);
    const { name } = await harness.create("deaf", { targetColumn: "deaf" });
    const { pid } = await pidOf(name);

    await harness.client().cancelTrainingJob({ name });

    assert.deepEqual(states(await eventsOf(harness.client(), name)), ["QUEUED", "RUNNING", "CANCELLED"]);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });

  it("go with the service, and the next start takes their job up again without counting it as lost", async () => {
    await prepare();
    const { name } = await harness.create("restarted", { targetColumn: "hang-once" });
    const { pid, offset } = await pidOf(name);

    await harness.stop();
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    await harness.start();

    assert.deepEqual(states(await eventsOf(harness.client(), name, offset)), ["QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.equal((await jobOf(name)).attemptCount, 2);
    assert.equal((await jobOf(name)).state, TrainingJob_State.SUCCEEDED);
  });
});
