// The life of a job, as pure functions from record to record: whoever holds the job's lock applies one and stores the
// answer with its event, so that state and log never disagree.
//
//            start              succeed
//   QUEUED ─────────▶ RUNNING ─────────▶ SUCCEEDED
//    │ ▲ ◀──────────────┤ │ │  fail
//    │ │     requeue    │ │ └──────────▶ FAILED        a deadline fails what waits, too
//    │ │ resume   pause │ │ cancel
//    ▼ │ ┌──────────────┘ └────────────▶ CANCELLED     so does cancel
//   PAUSED
//
// I1  SUCCEEDED, FAILED and CANCELLED are final.
// I2  A job keeps its place in the queue (`sequence`) when its process died: it goes first again.
// I3  The attempt's number is its fencing token: what an attempt writes is refused once another has begun (store, `fence`).

import { StatusError } from "@servable/errors";
import type { JobRecord, JobState } from "./records.ts";

const NEXT: Readonly<Record<JobState, readonly JobState[]>> = {
  QUEUED: ["RUNNING", "PAUSED", "FAILED", "CANCELLED"],
  RUNNING: ["QUEUED", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"],
  PAUSED: ["QUEUED", "FAILED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

/** Whether a job has ended. */
export function hasEnded({ state }: Pick<JobRecord, "state">): boolean {
  return NEXT[state].length === 0;
}

/** A process takes the job. @throws StatusError `STATE_WRONG` */
export function start(job: JobRecord, nowMs: number): JobRecord {
  return { ...move(job, "RUNNING"), attemptCount: job.attemptCount + 1, startTimeMs: nowMs };
}

/** Its process is gone: another will take it. A lost one counts towards the limit, a planned stop does not. @throws StatusError `STATE_WRONG` */
export function requeue(job: JobRecord, { lost }: { lost: boolean }): JobRecord {
  if (job.state === "PAUSED") throw wrong(job, "QUEUED");
  return { ...move(job, "QUEUED"), lostAttemptCount: job.lostAttemptCount + (lost ? 1 : 0) };
}

/** It keeps its checkpoint and waits to be resumed. @throws StatusError `STATE_WRONG` */
export function pause(job: JobRecord): JobRecord {
  return { ...move(job, "PAUSED"), pauseRequested: false };
}

/** It waits for a process again. @throws StatusError `STATE_WRONG` when it is not paused */
export function resume(job: JobRecord): JobRecord {
  if (job.state !== "PAUSED") throw new StatusError("STATE_WRONG", `${job.name} is ${job.state}: only a PAUSED job is resumed`, { metadata: { state: job.state } });
  return move(job, "QUEUED");
}

/** The result is registered. @throws StatusError `STATE_WRONG` */
export function succeed(job: JobRecord, result: Pick<JobRecord, "modelVersion" | "evaluation" | "runRecord">, nowMs: number): JobRecord {
  return { ...move(job, "SUCCEEDED"), ...result, endTimeMs: nowMs };
}

/** It ends by an error. @throws StatusError `STATE_WRONG` */
export function fail(job: JobRecord, failure: { reason: string; message: string }, nowMs: number): JobRecord {
  return { ...move(job, "FAILED"), failureReason: failure.reason, failureMessage: failure.message, endTimeMs: nowMs };
}

/** It ends as its caller asked. @throws StatusError `STATE_WRONG` */
export function cancel(job: JobRecord, nowMs: number): JobRecord {
  return { ...move(job, "CANCELLED"), endTimeMs: nowMs };
}

/** What becomes of a running job whose process died without an answer: queued again, or FAILED at the limit. */
export function afterLostAttempt(job: JobRecord, { attemptsMax, how }: { attemptsMax: number; how: string }, nowMs: number): JobRecord {
  if (job.cancelRequested) return cancel(job, nowMs);
  if (job.pauseRequested) return pause(job);
  const lost = job.lostAttemptCount + 1;
  if (lost < attemptsMax) return requeue(job, { lost: true });
  return {
    ...fail(job, { reason: "TRAINING_PROCESS_DIED", message: `the job's process died ${lost} times, last by ${how}: give the service more memory, or make the job smaller (batch_size, hidden_units, rows)` }, nowMs),
    lostAttemptCount: lost,
  };
}

function move(job: JobRecord, to: JobState): JobRecord {
  if (!NEXT[job.state].includes(to)) throw wrong(job, to);
  return { ...job, state: to };
}

function wrong(job: JobRecord, to: JobState): StatusError {
  return new StatusError("STATE_WRONG", `${job.name} is ${job.state} and cannot become ${to}${hasEnded(job) ? ": it has ended, create another job" : ""}`, { metadata: { state: job.state } });
}
