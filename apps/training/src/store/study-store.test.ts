import assert from "node:assert/strict";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { openDatabase, type Database } from "@servable/storage";
import { testDatabases } from "@servable/testing";
import type { StudyRecord, TrialRecord } from "../domain/study/study-records.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "./schema.ts";
import { createTrainingStore } from "./sql-training-store.ts";

const study = (name: string, changes: Partial<StudyRecord> = {}): Omit<StudyRecord, "sequence"> => ({
  name,
  project: "p",
  dataset: "projects/p/datasets/d",
  datasetDigest: "sha256:00",
  model: "projects/p/models/m",
  spec: { targetColumn: "ä" },
  specJson: "{}",
  parameters: [{ kind: "float", name: "learning_rate", low: 1e-4, high: 1, log: true, when: [] }],
  metric: "loss",
  direction: "minimize",
  sampler: { algorithm: "tpe", startupTrialCount: 10, gridPointCount: 5 },
  pruner: undefined,
  maxTrialCount: 50,
  parallelTrialCount: 1,
  crossValidation: undefined,
  seed: Number.MAX_SAFE_INTEGER,
  finalModel: "best",
  timeBudgetMs: undefined,
  trialLimits: undefined,
  trialSilenceMs: 600_000,
  priority: 0,
  labels: {},
  state: "RUNNING",
  failureReason: "",
  failureMessage: "",
  counts: { RUNNING: 0, COMPLETE: 0, PRUNED: 0, FAILED: 0, CANCELLED: 0 },
  importances: [],
  finalJob: "",
  modelVersion: "",
  creator: { project: "p", principal: "k", role: "developer" },
  requestId: "",
  createTimeMs: 1,
  ...changes,
});
const trial = (number: number, changes: Partial<TrialRecord> = {}): TrialRecord => ({
  number,
  state: "RUNNING",
  values: { learning_rate: 1 / 3, hidden_units: [32, 16] },
  reports: [],
  foldObjectives: [],
  jobs: [`j-${number}`],
  seenOffset: 0,
  heardMs: 0,
  settled: false,
  failureReason: "",
  failureMessage: "",
  createTimeMs: 2,
  ...changes,
});

const { databases, stop } = await testDatabases();
after(stop);

for (const candidate of databases) {
  describe(`studies on ${candidate.name}`, { skip: candidate.skip }, () => {
    let database: Database<TrainingSchema>;
    let store: TrainingStore;
    beforeEach(async () => {
      database = await openDatabase<TrainingSchema>({ url: await candidate.freshUrl(), namespace: "training", migrations: TRAINING_MIGRATIONS });
      store = createTrainingStore(database.sql);
    });
    afterEach(() => database[Symbol.asyncDispose]());

    it("come back as they were put in, once each, the newest first", async () => {
      const first = await store.studies.insert(study("a", { requestId: "r" }));
      const second = await store.studies.insert(study("b"));

      assert.deepEqual(await store.studies.get("a"), JSON.parse(JSON.stringify(first)));
      assert.deepEqual((await store.studies.list("p", { after: undefined, limit: 9 })).map((each) => each.name), ["b", "a"]);
      assert.deepEqual((await store.studies.list("p", { after: second.sequence, limit: 9 })).map((each) => each.name), ["a"]);
      assert.equal((await store.studies.getByRequestId("p", "r"))?.name, "a");
      await assert.rejects(store.studies.insert(study("a")), (error: unknown) => error instanceof StatusError && error.reason === "ALREADY_EXISTS");
    });

    it("are unfinished until they have ended and their trials are settled", async () => {
      const made = await store.studies.insert(study("a"));
      await store.studies.trials.insert("a", trial(0));
      await store.studies.trials.insert("a", trial(1, { settled: true }));

      assert.equal(await store.studies.countActive("p"), 1);
      assert.equal((await store.studies.activeOn(made.dataset))?.name, "a");
      await store.studies.update({ ...made, state: "CANCELLED" });
      assert.deepEqual([await store.studies.countActive("p"), await store.studies.activeOn(made.dataset)], [0, undefined]);
      assert.deepEqual(await store.studies.unfinished(), ["a"]);
      assert.deepEqual((await store.studies.trials.unsettled("a")).map(({ number }) => number), [0]);
      await store.studies.trials.update("a", trial(0, { state: "CANCELLED", settled: true }));

      assert.deepEqual(await store.studies.unfinished(), []);
      assert.deepEqual((await store.studies.trials.list("a", { after: 0, limit: 9 })).map(({ number }) => number), [1]);
      assert.deepEqual((await store.studies.trials.list("a", { after: undefined, limit: 1 }))[0]?.values, trial(0).values);
    });

    it("number their events and keep the newest", async () => {
      await store.studies.insert(study("a"));

      for (let number = 0; number < 5; number++) {
        await store.transact(async ({ studies }) => {
          await studies.lock("a");
          assert.equal(await studies.events.append("a", { timeMs: number, event: { kind: "trial", trial: trial(number) } }, 3), number + 1);
        });
      }

      assert.deepEqual((await store.studies.events.after("a", 0, 9)).map(({ offset, timeMs }) => [offset, timeMs]), [[3, 2], [4, 3], [5, 4]]);
      assert.deepEqual((await store.studies.events.after("a", 3, 1)).map(({ offset }) => offset), [4]);
    });

    it("undo what a failed transaction wrote", async () => {
      await store.studies.insert(study("a"));

      await assert.rejects(
        store.transact(async ({ studies }) => {
          await studies.trials.insert("a", trial(0));
          throw new Error("no");
        }),
        /no/,
      );

      assert.deepEqual(await store.studies.trials.list("a", { after: undefined, limit: 9 }), []);
    });
  });
}
