import assert from "node:assert/strict";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { openDatabase, type Database } from "@servable/storage";
import { testDatabases } from "@servable/testing";
import { JOB_DEFAULTS, type DatasetRecord, type JobRecord } from "../domain/records.ts";
import { SPEC_DEFAULTS } from "../domain/training-spec-record.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "./schema.ts";
import { createTrainingStore } from "./sql-training-store.ts";

const dataset = (name: string, changes: Partial<DatasetRecord> = {}): DatasetRecord => ({
  name,
  project: "p",
  format: "csv",
  description: "äöü",
  columns: [{ name: "a", kind: "numeric", missingCount: 1, categories: [], mean: 0.1, standardDeviation: 1e-300 }],
  missingValues: ["?"],
  rowCount: 5_000_000_000,
  imageShape: [],
  labelClasses: [],
  digest: "sha256:00",
  sizeBytes: 12,
  files: [{ role: "data", sha256: "ab".repeat(32), sizeBytes: 12 }],
  createTimeMs: 1_700_000_000_123,
  version: 1,
  skipBadRows: false,
  header: [],
  columnOverrides: [],
  skippedRows: [],
  warnings: [],
  labelClassCounts: [],
  splits: [],
  ...changes,
});

const job = (name: string, changes: Partial<JobRecord> = {}): Omit<JobRecord, "sequence"> => ({
  ...JOB_DEFAULTS,
  name,
  project: "p",
  dataset: "projects/p/datasets/d",
  datasetDigest: "sha256:00",
  model: "projects/p/models/m",
  spec: { ...SPEC_DEFAULTS, targetColumn: "a" },
  state: "QUEUED",
  failureReason: "",
  failureMessage: "",
  modelVersion: "",
  attemptCount: 0,
  lostAttemptCount: 0,
  cancelRequested: false,
  creator: { project: "p", principal: "k", role: "developer" },
  requestId: "",
  createTimeMs: 1,
  ...changes,
});

const alreadyExists = (error: unknown): boolean => error instanceof StatusError && error.reason === "ALREADY_EXISTS";

const { databases, stop } = await testDatabases();
after(stop);
for (const candidate of databases) {
  describe(`training store on ${candidate.name}`, { skip: candidate.skip }, () => {
    let database: Database<TrainingSchema>;
    let store: TrainingStore;
    beforeEach(async () => {
      database = await openDatabase<TrainingSchema>({ url: await candidate.freshUrl(), namespace: "training", migrations: TRAINING_MIGRATIONS });
      store = createTrainingStore(database.sql);
    });
    afterEach(() => database[Symbol.asyncDispose]());

    it("gives data sets back as they were, by name, and refuses a second one", async () => {
      for (const id of ["b", "c", "a"]) await store.datasets.insert(dataset(id));
      await store.datasets.insert(dataset("other", { project: "q" }));

      assert.deepEqual(await store.datasets.get("a"), dataset("a"));
      assert.equal(await store.datasets.get("none"), undefined);
      assert.equal(await store.datasets.lock("none"), undefined);
      assert.deepEqual((await store.datasets.list("p", { after: undefined, limit: 2 })).map((each) => each.name), ["a", "b"]);
      assert.deepEqual((await store.datasets.list("p", { after: "b", limit: 2 })).map((each) => each.name), ["c"]);
      await assert.rejects(store.datasets.insert(dataset("a")), alreadyExists);
    });

    it("keeps the versions of a data set, finds them by number and digest, and deletes them with it", async () => {
      const splits: DatasetRecord["splits"] = [{ splitId: "s", method: "random", column: "", validationFraction: 0.2, testFraction: 0, seed: 1, sha256: "cd".repeat(32), trainingRowCount: 4, validationRowCount: 1, testRowCount: 0, createTimeMs: 1 }];
      const second = dataset("a", { version: 2, digest: "sha256:02", files: [] });
      await store.datasets.insert(dataset("a"));
      await store.datasets.addVersion(second);

      await store.datasets.updateVersion({ ...second, splits });

      assert.deepEqual(await store.datasets.get("a"), { ...second, splits });
      assert.deepEqual(await store.datasets.lock("a"), { ...second, splits });
      assert.deepEqual(await store.datasets.version("a", 1), dataset("a"));
      assert.equal((await store.datasets.pinned("a", "sha256:00"))?.version, 1);
      assert.equal(await store.datasets.pinned("a", "sha256:09"), undefined);
      assert.deepEqual((await store.datasets.versions("a", { after: undefined, limit: 5 })).map(({ version }) => version), [2, 1]);
      assert.deepEqual((await store.datasets.versions("a", { after: 2, limit: 5 })).map(({ version }) => version), [1]);
      assert.deepEqual((await store.datasets.list("p", { after: undefined, limit: 5 })).map(({ version }) => version), [2]);
      assert.deepEqual((await store.datasets.blobsOf("a")).sort(), ["ab".repeat(32), "cd".repeat(32)]);
      await assert.rejects(store.datasets.addVersion(second), alreadyExists);

      await store.datasets.delete("a");

      assert.equal(await store.datasets.version("a", 1), undefined);
      assert.equal(await store.datasets.refersTo("cd".repeat(32)), false);
    });

    it("knows a file's digest until its last data set is gone", async () => {
      const digest = "ab".repeat(32);
      await store.datasets.insert(dataset("a"));
      await store.datasets.insert(dataset("b"));

      await store.datasets.delete("a");
      assert.equal(await store.datasets.refersTo(digest), true);

      await store.datasets.delete("b");
      assert.equal(await store.datasets.refersTo(digest), false);
    });

    it("undoes a transaction that throws", async () => {
      const work = store.transact(async (transaction) => {
        await transaction.datasets.insert(dataset("a"));
        throw new Error("no");
      });

      await assert.rejects(work, /no/);
      assert.equal(await store.datasets.get("a"), undefined);
      assert.equal(await store.datasets.refersTo("ab".repeat(32)), false);
    });

    it("numbers jobs in order of arrival, also when they arrive at once", async () => {
      const made = await Promise.all(["a", "b", "c", "d"].map((id) => store.transact((transaction) => transaction.jobs.insert(job(id)))));

      const bySequence = made.toSorted((a, b) => a.sequence - b.sequence);
      assert.deepEqual(bySequence.map(({ sequence }) => sequence), [1, 2, 3, 4]);
      assert.deepEqual((await store.jobs.claims("QUEUED", 10)).map(({ id }) => id), bySequence.map((each) => each.name));
      assert.deepEqual((await store.jobs.list("p", { after: 3, limit: 5 })).map(({ sequence }) => sequence), [2, 1]);
      assert.equal(await store.jobs.count("QUEUED"), 4);
    });

    it("refuses a second job of one name or one request id, and finds it by the id", async () => {
      await store.jobs.insert(job("a", { requestId: "r1" }));

      await assert.rejects(store.jobs.insert(job("a")), alreadyExists);
      await assert.rejects(store.jobs.insert(job("b", { requestId: "r1" })), alreadyExists);
      await store.jobs.insert(job("c", { requestId: "r1", project: "q" }));
      assert.equal((await store.jobs.getByRequestId("p", "r1"))?.name, "a");
      assert.equal(await store.jobs.getByRequestId("p", "r2"), undefined);
    });

    it("loses no change of a job that two change at once", async () => {
      await store.jobs.insert(job("a"));
      const increment = () =>
        store.transact(async (transaction) => {
          const current = await transaction.jobs.lock("a");
          if (current !== undefined) await transaction.jobs.update({ ...current, attemptCount: current.attemptCount + 1 });
        });

      await Promise.all(Array.from({ length: 8 }, increment));

      assert.equal((await store.jobs.get("a"))?.attemptCount, 8);
    });

    it("finds the jobs that hold a data set", async () => {
      const made = await store.jobs.insert(job("a"));
      assert.equal((await store.jobs.activeOn(made.dataset))?.name, "a");

      await store.jobs.update({ ...made, state: "FAILED" });

      assert.equal(await store.jobs.activeOn(made.dataset), undefined);
      assert.equal(await store.jobs.count("QUEUED"), 0);
    });

    it("lets only the attempt write that runs, and only the service that holds it", async () => {
      const made = await store.jobs.insert(job("a"));
      const attempt = { job: "a", attempt: 1, owner: "one" };
      assert.equal(await store.jobs.fence(attempt), undefined); // It waits.

      await store.jobs.update({ ...made, state: "RUNNING", attemptCount: 1 });
      await store.jobs.lease("a", "one", 100);

      assert.equal((await store.jobs.fence(attempt))?.name, "a");
      assert.equal(await store.jobs.fence({ ...attempt, owner: "two" }), undefined);
      assert.equal(await store.jobs.fence({ ...attempt, attempt: 2 }), undefined);
      await store.jobs.update({ ...made, state: "RUNNING", attemptCount: 2 });
      assert.equal(await store.jobs.fence(attempt), undefined); // Another has begun.
    });

    it("finds running jobs whose service is silent, and renews the leases of one that is not", async () => {
      for (const [id, owner, expiresMs] of [["a", "one", 100], ["b", "two", 200], ["c", undefined, 0]] as const) {
        const made = await store.jobs.insert(job(id));
        await store.jobs.update({ ...made, state: "RUNNING", attemptCount: 3 });
        if (owner !== undefined) await store.jobs.lease(id, owner, expiresMs);
      }
      const abandoned = async (nowMs: number, owner?: string) => (await store.jobs.abandoned(nowMs, owner, 10)).map(({ name }) => name);

      assert.deepEqual(await abandoned(50), ["c"]);
      assert.deepEqual(await abandoned(150), ["a", "c"]);
      assert.deepEqual(await abandoned(50, "two"), ["b", "c"]);
      assert.deepEqual(await store.jobs.renewLeases("one", 500), [{ job: "a", attempt: 3, owner: "one" }]);
      assert.deepEqual(await abandoned(150), ["c"]);
    });

    it("orders the queue by priority and age, counts it by project, and finds what is overdue", async () => {
      await store.jobs.insert(job("old"));
      await store.jobs.insert(job("urgent", { priority: 5 }));
      await store.jobs.insert(job("late", { project: "q", limits: { memoryBytes: 0, cost: 0, deadlineMs: 10 } }));

      assert.deepEqual((await store.jobs.claims("QUEUED", 10)).map(({ id }) => id), ["urgent", "old", "late"]);
      assert.deepEqual([await store.jobs.count("QUEUED"), await store.jobs.count("QUEUED", "p")], [3, 2]);
      assert.deepEqual((await store.jobs.overdue(9, 10)).length, 0);
      assert.deepEqual((await store.jobs.overdue(10, 10)).map(({ name }) => name), ["late"]);
    });

    it("keeps checkpoints by step, newest first, and knows those of jobs that ended long ago", async () => {
      const made = await store.jobs.insert(job("a"));
      const checkpoint = (step: number, sha256: string) => ({ step, epoch: 1, sha256: sha256.repeat(64), sizeBytes: 1, attempt: 1, createTimeMs: 1, metrics: { accuracy: 0.5 }, best: false });
      for (const [step, digest] of [[10, "a"], [20, "b"], [20, "c"]] as const) await store.checkpoints.insert("a", checkpoint(step, digest));

      assert.deepEqual(await store.checkpoints.list("a"), [checkpoint(20, "c"), checkpoint(10, "a")]);
      assert.deepEqual([await store.checkpoints.refersTo("b".repeat(64)), await store.checkpoints.refersTo("c".repeat(64))], [false, true]);
      assert.deepEqual(await store.checkpoints.ofEnded(1_000, 10), []);
      await store.jobs.update({ ...made, state: "SUCCEEDED", endTimeMs: 999 });
      assert.equal((await store.checkpoints.ofEnded(1_000, 10)).length, 2);
      await store.checkpoints.delete("a", 20);
      assert.deepEqual((await store.checkpoints.list("a")).map(({ step }) => step), [10]);
    });

    it("remembers what projects used", async () => {
      await store.shares.set("p", 1.5, 10);
      await store.shares.set("p", 2.5, 20);

      assert.deepEqual(await store.shares.list(), [{ project: "p", usageMs: 2.5, atMs: 20 }]);
    });

    it("counts each job's events by itself and keeps the newest", async () => {
      await store.jobs.insert(job("a"));
      await store.jobs.insert(job("b"));
      const append = (name: string, step: number) =>
        store.events.append(name, { timeMs: step, event: { kind: "progress", progress: { epoch: 1, epochCount: 1, step, stepCount: 5, loss: 0.5, stepsPerSecond: 1 } } }, 3);

      for (const step of [1, 2, 3, 4, 5]) await append("a", step);

      assert.equal(await append("b", 1), 1);
      assert.deepEqual((await store.events.after("a", 0, 10)).map(({ offset, timeMs }) => [offset, timeMs]), [[3, 3], [4, 4], [5, 5]]);
      assert.deepEqual((await store.events.after("a", 3, 1)).map(({ offset }) => offset), [4]);
    });
  });
}
