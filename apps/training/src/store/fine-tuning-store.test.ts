import assert from "node:assert/strict";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { openDatabase, type Database } from "@servable/storage";
import { testDatabases } from "@servable/testing";
import type { FileRecord, FineTuningStore, TuningRecord } from "../domain/fine-tuning/records.ts";
import { sqlFineTuning } from "./fine-tuning-store.ts";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "./schema.ts";

const file = (id: string, changes: Partial<FileRecord> = {}): FileRecord => ({ id, project: "p", filename: "äöü.jsonl", purpose: "fine-tune", sizeBytes: 3, sha256: "ab".repeat(32), createTimeMs: 1_000, ...changes });
const job = (id: string, changes: Partial<TuningRecord> = {}): TuningRecord => ({ id, project: "p", model: "m", baseVersion: "v", family: "causal_lm", trainingFile: "f", validationFile: "", suffix: "", seed: 1, hyperparameters: {}, metadata: {}, phase: "validating", trainingJob: "", fineTunedModel: "", resultFiles: [], creator: { project: "p", principal: "k", role: "developer" }, createTimeMs: 1_000, ...changes });
const ids = (records: readonly { readonly id: string }[]): string[] => records.map(({ id }) => id);

const { databases, stop } = await testDatabases();
after(stop);
for (const each of databases) {
  describe(`fine-tuning store on ${each.name}`, { skip: each.skip }, () => {
    let database: Database<TrainingSchema>;
    let store: FineTuningStore;
    beforeEach(async () => {
      database = await openDatabase<TrainingSchema>({ url: await each.freshUrl(), namespace: "training", migrations: TRAINING_MIGRATIONS });
      store = sqlFineTuning(database.sql);
    });
    afterEach(() => database[Symbol.asyncDispose]());

    it("pages files by age both ways, also those of one millisecond, each once", async () => {
      for (const [id, createTimeMs] of [["b", 1_000], ["a", 1_000], ["c", 1_000], ["d", 2_000]] as const) await store.files.put(file(id, { createTimeMs }));

      const pages = [];
      for (let from = ""; ; ) {
        const page = await store.files.list("p", "", 0, { after: from, limit: 2 });
        pages.push(ids(page));
        if (page.length < 2) break;
        from = page.at(-1)?.id ?? "";
      }

      assert.deepEqual(pages, [["d", "c"], ["b", "a"], []]);
      assert.deepEqual(ids(await store.files.list("p", "", 0, { after: "a", limit: 9, ascending: true })), ["b", "c", "d"]);
      await assert.rejects(store.files.list("p", "", 0, { after: "gone", limit: 9 }), (error) => error instanceof StatusError && error.reason === "FILE_NOT_FOUND");
    });

    it("shows files of their project, their purpose and their time", async () => {
      await store.files.put(file("a"));
      await store.files.put(file("b", { purpose: "batch" }));
      await store.files.put(file("c", { project: "q" }));
      await store.files.put(file("d", { expireTimeMs: 5_000, sha256: "cd".repeat(32) }));

      assert.deepEqual(ids(await store.files.list("p", "fine-tune", 4_999, { after: "", limit: 9 })), ["d", "a"]);
      assert.deepEqual(ids(await store.files.list("p", "fine-tune", 5_000, { after: "", limit: 9 })), ["a"]);
      assert.deepEqual(ids(await store.files.expired(5_000)), ["d"]);
      assert.equal(await store.files.get("q", "a"), undefined);
      assert.deepEqual(await store.files.get("p", "a"), file("a"));
      assert.equal(await store.files.refersTo("cd".repeat(32)), true);
      await store.files.delete("p", "d");
      assert.equal(await store.files.refersTo("cd".repeat(32)), false);
    });

    it("changes jobs one after the other, and knows those that have not ended", async () => {
      await store.jobs.insert(job("a"));
      await store.jobs.insert(job("b", { createTimeMs: 2_000, phase: "failed" }));

      await Promise.all(Array.from({ length: 8 }, () => store.jobs.change("a", (current) => ({ ...current, seed: current.seed + 1 }))));

      assert.equal((await store.jobs.get("p", "a"))?.seed, 9);
      assert.deepEqual(ids(await store.jobs.unfinished()), ["a"]);
      await store.jobs.change("a", (current) => ({ ...current, phase: "succeeded" }));
      assert.deepEqual(await store.jobs.unfinished(), []);
      assert.equal(await store.jobs.change("nobody", (current) => current), undefined);
      assert.deepEqual(ids(await store.jobs.list("p", { after: "", limit: 9 })), ["b", "a"]);
      assert.deepEqual(ids(await store.jobs.list("p", { after: "b", limit: 9 })), ["a"]);
    });
  });
}
