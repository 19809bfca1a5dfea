import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import type { JobRecord, JobState } from "./records.ts";
import { afterLostAttempt, cancel, fail, hasEnded, pause, requeue, resume, start, succeed } from "./training-job.ts";

const in_ = (state: JobState, changes: Partial<JobRecord> = {}): JobRecord => ({ name: "projects/p/trainingJobs/j", state, attemptCount: 1, lostAttemptCount: 0, cancelRequested: false, ...changes }) as JobRecord;
const STATES: readonly JobState[] = ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"];
const MOVES: Readonly<Record<string, { from: readonly JobState[]; move: (job: JobRecord) => JobRecord }>> = {
  start: { from: ["QUEUED"], move: (job) => start(job, 1) },
  requeue: { from: ["RUNNING"], move: (job) => requeue(job, { lost: true }) },
  succeed: { from: ["RUNNING"], move: (job) => succeed(job, { modelVersion: "v", evaluation: {} as never }, 1) },
  fail: { from: ["QUEUED", "RUNNING", "PAUSED"], move: (job) => fail(job, { reason: "r", message: "m" }, 1) },
  pause: { from: ["QUEUED", "RUNNING"], move: (job) => pause(job) },
  resume: { from: ["PAUSED"], move: (job) => resume(job) },
  cancel: { from: ["QUEUED", "RUNNING", "PAUSED"], move: (job) => cancel(job, 1) },
};

describe("a training job", () => {
  for (const [name, { from, move }] of Object.entries(MOVES)) {
    for (const state of STATES) {
      if (from.includes(state)) it(`can ${name} when ${state}`, () => assert.notEqual(move(in_(state)).state, state));
      else it(`cannot ${name} when ${state}`, () => assert.throws(() => move(in_(state)), (error: unknown) => error instanceof StatusError && error.reason === "STATE_WRONG"));
    }
  }

  it("ends in three states only", () => assert.deepEqual(STATES.filter((state) => hasEnded({ state })), ["SUCCEEDED", "FAILED", "CANCELLED"]));

  it("goes back to the queue when its process died, and fails at the limit", () => {
    const lost = (count: number) => afterLostAttempt(in_("RUNNING", { lostAttemptCount: count }), { attemptsMax: 3, how: "SIGKILL" }, 9);

    assert.deepEqual([lost(0).state, lost(0).lostAttemptCount], ["QUEUED", 1]);
    assert.deepEqual([lost(1).state, lost(1).lostAttemptCount], ["QUEUED", 2]);
    assert.deepEqual([lost(2).state, lost(2).failureReason, lost(2).endTimeMs], ["FAILED", "TRAINING_PROCESS_DIED", 9]);
  });

  it("does not come back after its cancellation was asked for", () => {
    assert.equal(afterLostAttempt(in_("RUNNING", { cancelRequested: true }), { attemptsMax: 3, how: "SIGKILL" }, 9).state, "CANCELLED");
  });

  it("waits, when its caller asked for a pause before its process died", () => {
    const job = afterLostAttempt(in_("RUNNING", { pauseRequested: true }), { attemptsMax: 1, how: "SIGKILL" }, 9);

    assert.deepEqual([job.state, job.pauseRequested], ["PAUSED", false]);
  });

  it("does not count a planned stop as a loss", () => assert.equal(requeue(in_("RUNNING"), { lost: false }).lostAttemptCount, 0));
});
