import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ChangeSignal, openDatabase } from "@servable/storage";
import { tempDir } from "@servable/testing";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "../store/schema.ts";
import { createTrainingStore } from "../store/sql-training-store.ts";
import { JobLog } from "./job-log.ts";
import { StatusError } from "@servable/errors";
import { JOB_DEFAULTS, type JobRecord } from "./records.ts";
import { start, succeed } from "./training-job.ts";

describe("a job's log", () => {
  it("keeps the newest events, and a watch from before them begins with the oldest kept", async () => {
    using directory = tempDir();
    await using database = await openDatabase<TrainingSchema>({ url: `sqlite:${join(directory.path, "t.db")}`, namespace: "training", migrations: TRAINING_MIGRATIONS });
    const store = createTrainingStore(database.sql);
    const log = new JobLog({ store, changes: new ChangeSignal(), now: () => 7, eventsKeptMax: 3 });
    const draft = { ...JOB_DEFAULTS, name: "j", project: "p", dataset: "d", state: "QUEUED", attemptCount: 0, requestId: "" } as Omit<JobRecord, "sequence">;
    const attempt = { job: "j", attempt: 1, owner: "one" };
    const progress = (step: number) => ({ kind: "progress", progress: { epoch: 1, epochCount: 1, step, stepCount: 3, loss: 1, stepsPerSecond: 1 } }) as const;
    await store.transact((transaction) => log.insert(transaction, draft));
    await log.begin("j", (job) => start(job, 7), { owner: "one", expiresMs: 99 });
    for (const step of [1, 2, 3]) await log.report(attempt, progress(step));
    await log.change("j", (job) => succeed(job, { modelVersion: "v", evaluation: {} as never }, 7));

    // Too late: the job has ended.
    await assert.rejects(log.report(attempt, progress(9)), (error: unknown) => error instanceof StatusError && error.reason === "ATTEMPT_STALE");

    const seen: string[] = [];
    for await (const { offset, event } of log.watch("j", 1, new AbortController().signal)) seen.push(`${offset} ${event.kind === "state" ? event.job.state : event.kind === "progress" ? event.progress.step : event.kind}`);
    assert.deepEqual(seen, ["4 2", "5 3", "6 SUCCEEDED"]);
  });
});
