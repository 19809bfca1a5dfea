import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ChangeSignal, openDatabase } from "@servable/storage";
import { tempDir } from "@servable/testing";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "../store/schema.ts";
import { createTrainingStore } from "../store/sql-training-store.ts";
import { JobLog } from "./job-log.ts";
import type { JobRecord } from "./records.ts";
import { start, succeed } from "./training-job.ts";

describe("a job's log", () => {
  it("keeps the newest events, and a watch from before them begins with the oldest kept", async () => {
    using directory = tempDir();
    await using database = await openDatabase<TrainingSchema>({ url: `sqlite:${join(directory.path, "t.db")}`, namespace: "training", migrations: TRAINING_MIGRATIONS });
    const store = createTrainingStore(database.sql);
    const log = new JobLog({ store, changes: new ChangeSignal(), now: () => 7, eventsKeptMax: 3 });
    const draft = { name: "j", project: "p", dataset: "d", state: "QUEUED", attemptCount: 0, requestId: "" } as Omit<JobRecord, "sequence">;
    await store.transact((transaction) => log.insert(transaction, draft));
    await log.change("j", (job) => start(job, 7));
    for (const step of [1, 2, 3]) await log.progress("j", { epoch: 1, epochCount: 1, step, stepCount: 3, loss: 1, stepsPerSecond: 1 });
    await log.change("j", (job) => succeed(job, { modelVersion: "v", evaluation: {} as never }, 7));

    // Too late: the job has ended.
    await log.progress("j", { epoch: 9, epochCount: 1, step: 9, stepCount: 3, loss: 1, stepsPerSecond: 1 });

    const seen: string[] = [];
    for await (const { offset, event } of log.watch("j", 1, new AbortController().signal)) seen.push(`${offset} ${event.kind === "state" ? event.job.state : event.progress.step}`);
    assert.deepEqual(seen, ["4 2", "5 3", "6 SUCCEEDED"]);
  });
});
