import type { Kysely } from "kysely";
import type { DatasetRecord } from "../domain/records.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import type { TrainingSchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

/** Data sets in SQL. */
export function sqlDatasets(db: Kysely<TrainingSchema>): TrainingStore["datasets"] {
  return {
    insert: async (dataset) => {
      const row = { name: dataset.name, project: dataset.project, revision: 1, record_json: JSON.stringify(dataset) };
      await insertNew(dataset.name, db.insertInto("training_dataset").values(row).execute());
      await db.insertInto("training_dataset_file").values(dataset.files.map(({ role, sha256 }) => ({ dataset: dataset.name, role, sha256 }))).execute();
    },
    get: async (name) => recordOf(await db.selectFrom("training_dataset").select("record_json").where("name", "=", name).executeTakeFirst()),
    lock: async (name) =>
      recordOf(
        await db
          .updateTable("training_dataset")
          .set((eb) => ({ revision: eb("revision", "+", 1) }))
          .where("name", "=", name)
          .returning("record_json")
          .executeTakeFirst(),
      ),
    list: async (project, { after, limit }) => {
      const query = db.selectFrom("training_dataset").select("record_json").where("project", "=", project).where("name", ">", String(after ?? ""));
      return (await query.orderBy("name").limit(limit).execute()).map(toRecord);
    },
    delete: async (name) => void (await db.deleteFrom("training_dataset").where("name", "=", name).execute()),
    refersTo: async (sha256) => (await db.selectFrom("training_dataset_file").select("dataset").where("sha256", "=", sha256).limit(1).executeTakeFirst()) !== undefined,
  };
}

function recordOf(row: { record_json: string } | undefined): DatasetRecord | undefined {
  return row && toRecord(row);
}

function toRecord(row: { record_json: string }): DatasetRecord {
  return JSON.parse(row.record_json) as DatasetRecord;
}
