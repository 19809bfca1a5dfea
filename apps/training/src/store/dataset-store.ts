import type { Kysely } from "kysely";
import type { DatasetRecord } from "../domain/records.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import type { TrainingSchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

/** What records of before a field came lack. */
const DEFAULTS = { version: 1, skipBadRows: false, header: [], columnOverrides: [], skippedRows: [], warnings: [], labelClassCounts: [], splits: [] } as const;

/** Data sets and their versions in SQL. */
export function sqlDatasets(db: Kysely<TrainingSchema>): TrainingStore["datasets"] {
  const versions = () => db.selectFrom("training_dataset_version").select("record_json");
  const newest = () =>
    db
      .selectFrom("training_dataset")
      .innerJoin("training_dataset_version", (join) => join.onRef("training_dataset_version.dataset", "=", "training_dataset.name").onRef("training_dataset_version.version", "=", "training_dataset.version"))
      .select("training_dataset_version.record_json");
  const insertVersion = async (dataset: DatasetRecord): Promise<void> => {
    const row = { dataset: dataset.name, version: dataset.version, digest: dataset.digest, record_json: JSON.stringify(dataset) };
    await insertNew(`${dataset.name}/versions/${dataset.version}`, db.insertInto("training_dataset_version").values(row).execute());
    await keepBlobs(dataset);
  };
  const keepBlobs = async ({ name, files, splits }: DatasetRecord): Promise<void> => {
    const digests = new Set([...files, ...splits].map(({ sha256 }) => sha256));
    if (digests.size === 0) return;
    await db
      .insertInto("training_dataset_blob")
      .values([...digests].map((sha256) => ({ dataset: name, sha256 })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  };
  return {
    insert: async (dataset) => {
      const row = { name: dataset.name, project: dataset.project, revision: 1, version: dataset.version };
      await insertNew(dataset.name, db.insertInto("training_dataset").values(row).execute());
      await insertVersion(dataset);
    },
    addVersion: async (dataset) => {
      await insertVersion(dataset);
      await db.updateTable("training_dataset").set({ version: dataset.version }).where("name", "=", dataset.name).execute();
    },
    updateVersion: async (dataset) => {
      await db.updateTable("training_dataset_version").set({ record_json: JSON.stringify(dataset) }).where("dataset", "=", dataset.name).where("version", "=", dataset.version).execute();
      await keepBlobs(dataset);
    },
    get: async (name) => recordOf(await newest().where("training_dataset.name", "=", name).executeTakeFirst()),
    version: async (name, version) => recordOf(await versions().where("dataset", "=", name).where("version", "=", version).executeTakeFirst()),
    pinned: async (name, digest) => recordOf(await versions().where("dataset", "=", name).where("digest", "=", digest).orderBy("version", "desc").limit(1).executeTakeFirst()),
    versions: async (name, { after, limit }) => {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
      return (await versions().where("dataset", "=", name).where("version", "<", before).orderBy("version", "desc").limit(limit).execute()).map(toRecord);
    },
    lock: async (name) => {
      const locked = await db
        .updateTable("training_dataset")
        .set((eb) => ({ revision: eb("revision", "+", 1) }))
        .where("name", "=", name)
        .returning("version")
        .executeTakeFirst();
      return locked && recordOf(await versions().where("dataset", "=", name).where("version", "=", Number(locked.version)).executeTakeFirst());
    },
    list: async (project, { after, limit }) => {
      const query = newest().where("training_dataset.project", "=", project).where("training_dataset.name", ">", String(after ?? ""));
      return (await query.orderBy("training_dataset.name").limit(limit).execute()).map(toRecord);
    },
    delete: async (name) => void (await db.deleteFrom("training_dataset").where("name", "=", name).execute()),
    blobsOf: async (name) => (await db.selectFrom("training_dataset_blob").select("sha256").where("dataset", "=", name).execute()).map(({ sha256 }) => sha256),
    refersTo: async (sha256) => (await db.selectFrom("training_dataset_blob").select("dataset").where("sha256", "=", sha256).limit(1).executeTakeFirst()) !== undefined,
  };
}

function recordOf(row: { record_json: string } | undefined): DatasetRecord | undefined {
  return row && toRecord(row);
}

function toRecord(row: { record_json: string }): DatasetRecord {
  return { ...DEFAULTS, ...(JSON.parse(row.record_json) as DatasetRecord) };
}
