import { sql, type Kysely } from "kysely";
import type { Migration } from "kysely/migration";
import { createStudyTables, type StudySchema } from "./study-schema.ts";

/**
 * Tables of the service. What is searched has a column; the rest of a record is JSON text. `revision` exists to be
 * incremented: an UPDATE locks its row on both databases, which SELECT … FOR UPDATE does not.
 */
export interface TrainingSchema extends StudySchema {
  training_dataset: { name: string; project: string; revision: number; version: number };
  training_dataset_version: { dataset: string; version: number; digest: string; record_json: string };
  /** Files and splits of all versions. */
  training_dataset_blob: { dataset: string; sha256: string };
  training_job: {
    name: string;
    project: string;
    sequence: number;
    state: string;
    dataset: string;
    request_id: string | null;
    last_offset: number;
    revision: number;
    record_json: string;
    priority: number;
    attempt: number;
    lease_owner: string | null;
    lease_expires_ms: number | null;
    deadline_ms: number | null;
    end_time_ms: number | null;
  };
  training_checkpoint: { job: string; step: number; sha256: string; record_json: string };
  training_share: { project: string; usage_ms: number; at_ms: number };
  training_event: { job: string; event_offset: number; time_ms: number; event_json: string };
  training_counter: { name: string; value: number };
  training_file: { id: string; project: string; purpose: string; sha256: string; create_time_ms: number; expire_time_ms: number | null; record_json: string };
  training_fine_tuning: { id: string; project: string; create_time_ms: number; ended: number; revision: number; record_json: string };
}

/** The schema's history; entries never change. */
export const TRAINING_MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_training": { up: createTables },
  "0002_job_execution": { up: addExecution },
  "0003_dataset_versions": { up: addDatasetVersions },
  "0005_tuning_studies": { up: createStudyTables },
  "0006_fine_tuning": { up: addFineTuning },
};

async function addFineTuning(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("training_file")
    .addColumn("id", "varchar(64)", (c) => c.primaryKey())
    .addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("purpose", "varchar(32)", (c) => c.notNull())
    .addColumn("sha256", "varchar(64)", (c) => c.notNull())
    .addColumn("create_time_ms", "bigint", (c) => c.notNull())
    .addColumn("expire_time_ms", "bigint")
    .addColumn("record_json", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("training_file_age").on("training_file").columns(["project", "create_time_ms", "id"]).execute();
  await db.schema.createIndex("training_file_sha256").on("training_file").column("sha256").execute();
  await db.schema
    .createTable("training_fine_tuning")
    .addColumn("id", "varchar(64)", (c) => c.primaryKey())
    .addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("create_time_ms", "bigint", (c) => c.notNull())
    .addColumn("ended", "integer", (c) => c.notNull())
    .addColumn("revision", "bigint", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("training_fine_tuning_age").on("training_fine_tuning").columns(["project", "create_time_ms", "id"]).execute();
  await db.schema.createIndex("training_fine_tuning_open").on("training_fine_tuning").column("ended").execute();
}

async function createTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("training_dataset")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey())
    .addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("revision", "bigint", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("training_dataset_file")
    .addColumn("dataset", "varchar(255)", (c) => c.notNull().references("training_dataset.name").onDelete("cascade"))
    .addColumn("role", "varchar(16)", (c) => c.notNull())
    .addColumn("sha256", "varchar(64)", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_dataset_file_key", ["dataset", "role"])
    .execute();
  await db.schema.createIndex("training_dataset_file_sha256").on("training_dataset_file").column("sha256").execute();
  await db.schema
    .createTable("training_job")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey())
    .addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("sequence", "bigint", (c) => c.notNull().unique())
    .addColumn("state", "varchar(16)", (c) => c.notNull())
    .addColumn("dataset", "varchar(255)", (c) => c.notNull())
    .addColumn("request_id", "varchar(64)")
    .addColumn("last_offset", "bigint", (c) => c.notNull())
    .addColumn("revision", "bigint", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .addUniqueConstraint("training_job_request", ["project", "request_id"])
    .execute();
  await db.schema.createIndex("training_job_state").on("training_job").columns(["state", "sequence"]).execute();
  await db.schema
    .createTable("training_event")
    .addColumn("job", "varchar(255)", (c) => c.notNull().references("training_job.name").onDelete("cascade"))
    .addColumn("event_offset", "bigint", (c) => c.notNull())
    .addColumn("time_ms", "bigint", (c) => c.notNull())
    .addColumn("event_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_event_key", ["job", "event_offset"])
    .execute();
  await db.schema
    .createTable("training_counter")
    .addColumn("name", "varchar(63)", (c) => c.primaryKey())
    .addColumn("value", "bigint", (c) => c.notNull())
    .execute();
  await sql`insert into training_counter (name, value) values ('job', 0)`.execute(db);
}

/** Leases, priorities, checkpoints and shares. Jobs that run have no lease: whoever starts next takes them up. */
async function addExecution(db: Kysely<unknown>): Promise<void> {
  const add = (name: string, notNull: boolean) =>
    db.schema
      .alterTable("training_job")
      .addColumn(name, name === "lease_owner" ? "varchar(255)" : "bigint", (c) => (notNull ? c.notNull().defaultTo(0) : c))
      .execute();
  for (const name of ["priority", "attempt"]) await add(name, true);
  for (const name of ["lease_owner", "lease_expires_ms", "deadline_ms", "end_time_ms"]) await add(name, false);
  await db.schema.createIndex("training_job_lease").on("training_job").columns(["lease_owner", "state"]).execute();
  await db.schema
    .createTable("training_checkpoint")
    .addColumn("job", "varchar(255)", (c) => c.notNull().references("training_job.name").onDelete("cascade"))
    .addColumn("step", "bigint", (c) => c.notNull())
    .addColumn("sha256", "varchar(64)", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_checkpoint_key", ["job", "step"])
    .execute();
  await db.schema.createIndex("training_checkpoint_sha256").on("training_checkpoint").column("sha256").execute();
  await db.schema
    .createTable("training_share")
    .addColumn("project", "varchar(63)", (c) => c.primaryKey())
    .addColumn("usage_ms", "double precision", (c) => c.notNull())
    .addColumn("at_ms", "bigint", (c) => c.notNull())
    .execute();
}

/** Data sets get versions; what there is becomes version 1. */
async function addDatasetVersions(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("training_dataset").addColumn("version", "bigint", (c) => c.notNull().defaultTo(1)).execute();
  await db.schema
    .createTable("training_dataset_version")
    .addColumn("dataset", "varchar(255)", (c) => c.notNull().references("training_dataset.name").onDelete("cascade"))
    .addColumn("version", "bigint", (c) => c.notNull())
    .addColumn("digest", "varchar(80)", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_dataset_version_key", ["dataset", "version"])
    .execute();
  await db.schema
    .createTable("training_dataset_blob")
    .addColumn("dataset", "varchar(255)", (c) => c.notNull().references("training_dataset.name").onDelete("cascade"))
    .addColumn("sha256", "varchar(64)", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_dataset_blob_key", ["dataset", "sha256"])
    .execute();
  await db.schema.createIndex("training_dataset_blob_sha256").on("training_dataset_blob").column("sha256").execute();
  const old = await sql<{ name: string; record_json: string }>`select name, record_json from training_dataset`.execute(db);
  for (const { name, record_json } of old.rows) {
    const { digest } = JSON.parse(record_json) as { digest: string };
    await sql`insert into training_dataset_version (dataset, version, digest, record_json) values (${name}, 1, ${digest}, ${record_json})`.execute(db);
  }
  await sql`insert into training_dataset_blob (dataset, sha256) select distinct dataset, sha256 from training_dataset_file`.execute(db);
  await db.schema.dropTable("training_dataset_file").execute();
  await db.schema.alterTable("training_dataset").dropColumn("record_json").execute();
}
