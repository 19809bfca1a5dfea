import { sql, type Kysely } from "kysely";

/** Tables of studies. */
export interface StudySchema {
  training_study: { name: string; project: string; sequence: number; state: string; dataset: string; request_id: string | null; last_offset: number; revision: number; record_json: string };
  /** `settled` is 0 while something is left to be done. */
  training_trial: { study: string; number: number; settled: number; record_json: string };
  training_study_event: { study: string; event_offset: number; time_ms: number; event_json: string };
}

/** Creates them. */
export async function createStudyTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("training_study")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey())
    .addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("sequence", "bigint", (c) => c.notNull().unique())
    .addColumn("state", "varchar(16)", (c) => c.notNull())
    .addColumn("dataset", "varchar(255)", (c) => c.notNull())
    .addColumn("request_id", "varchar(64)")
    .addColumn("last_offset", "bigint", (c) => c.notNull())
    .addColumn("revision", "bigint", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .addUniqueConstraint("training_study_request", ["project", "request_id"])
    .execute();
  await db.schema.createIndex("training_study_state").on("training_study").columns(["state", "project"]).execute();
  await db.schema
    .createTable("training_trial")
    .addColumn("study", "varchar(255)", (c) => c.notNull().references("training_study.name").onDelete("cascade"))
    .addColumn("number", "integer", (c) => c.notNull())
    .addColumn("settled", "integer", (c) => c.notNull())
    .addColumn("record_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_trial_key", ["study", "number"])
    .execute();
  await db.schema.createIndex("training_trial_settled").on("training_trial").columns(["settled", "study"]).execute();
  await db.schema
    .createTable("training_study_event")
    .addColumn("study", "varchar(255)", (c) => c.notNull().references("training_study.name").onDelete("cascade"))
    .addColumn("event_offset", "bigint", (c) => c.notNull())
    .addColumn("time_ms", "bigint", (c) => c.notNull())
    .addColumn("event_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("training_study_event_key", ["study", "event_offset"])
    .execute();
  await sql`insert into training_counter (name, value) values ('study', 0)`.execute(db);
}
