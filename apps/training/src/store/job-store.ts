import type { Kysely } from "kysely";
import type { JobRecord } from "../domain/records.ts";
import { SPEC_DEFAULTS } from "../domain/training-spec-record.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import type { TrainingSchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

/** Training jobs in SQL. */
export function sqlJobs(db: Kysely<TrainingSchema>): TrainingStore["jobs"] {
  const jobs = () => db.selectFrom("training_job").select("record_json");
  return {
    insert: async (draft) => {
      const { value } = await db
        .updateTable("training_counter")
        .set((eb) => ({ value: eb("value", "+", 1) }))
        .where("name", "=", "job")
        .returning("value")
        .executeTakeFirstOrThrow();
      const job: JobRecord = { ...draft, sequence: value };
      const row = {
        name: job.name,
        project: job.project,
        sequence: job.sequence,
        state: job.state,
        dataset: job.dataset,
        request_id: job.requestId === "" ? null : job.requestId,
        last_offset: 0,
        revision: 1,
        record_json: JSON.stringify(job),
      };
      await insertNew(job.name, db.insertInto("training_job").values(row).execute());
      return job;
    },
    get: async (name) => recordOf(await jobs().where("name", "=", name).executeTakeFirst()),
    getByRequestId: async (project, requestId) => recordOf(await jobs().where("project", "=", project).where("request_id", "=", requestId).executeTakeFirst()),
    lock: async (name) =>
      recordOf(
        await db
          .updateTable("training_job")
          .set((eb) => ({ revision: eb("revision", "+", 1) }))
          .where("name", "=", name)
          .returning("record_json")
          .executeTakeFirst(),
      ),
    update: async (job) => void (await db.updateTable("training_job").set({ state: job.state, record_json: JSON.stringify(job) }).where("name", "=", job.name).execute()),
    list: async (project, { after, limit }) => {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
      return (await jobs().where("project", "=", project).where("sequence", "<", before).orderBy("sequence", "desc").limit(limit).execute()).map(toRecord);
    },
    inState: async (state, limit) => (await jobs().where("state", "=", state).orderBy("sequence").limit(limit).execute()).map(toRecord),
    countQueued: async () =>
      Number((await db.selectFrom("training_job").select((eb) => eb.fn.countAll().as("count")).where("state", "=", "QUEUED").executeTakeFirstOrThrow()).count),
    activeOn: async (dataset) => recordOf(await jobs().where("dataset", "=", dataset).where("state", "in", ["QUEUED", "RUNNING"]).limit(1).executeTakeFirst()),
  };
}

function recordOf(row: { record_json: string } | undefined): JobRecord | undefined {
  return row && toRecord(row);
}

function toRecord(row: { record_json: string }): JobRecord {
  const job = JSON.parse(row.record_json) as JobRecord;
  // A record of an older release lacks what was added since.
  return { ...job, spec: { ...SPEC_DEFAULTS, ...job.spec } };
}
