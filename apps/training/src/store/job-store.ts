import type { Kysely } from "kysely";
import { JOB_DEFAULTS, type JobRecord } from "../domain/records.ts";
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
        dataset: job.dataset,
        request_id: job.requestId === "" ? null : job.requestId,
        last_offset: 0,
        revision: 1,
        ...columnsOf(job),
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
    update: async (job) => void (await db.updateTable("training_job").set(columnsOf(job)).where("name", "=", job.name).execute()),
    list: async (project, { after, limit }) => {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
      return (await jobs().where("project", "=", project).where("sequence", "<", before).orderBy("sequence", "desc").limit(limit).execute()).map(toRecord);
    },
    fence: async ({ job, attempt, owner }) =>
      recordOf(
        await db
          .updateTable("training_job")
          .set((eb) => ({ revision: eb("revision", "+", 1) }))
          .where("name", "=", job)
          .where("state", "=", "RUNNING")
          .where("attempt", "=", attempt)
          .where("lease_owner", "=", owner)
          .returning("record_json")
          .executeTakeFirst(),
      ),
    lease: async (job, owner, expiresMs) => void (await db.updateTable("training_job").set({ lease_owner: owner, lease_expires_ms: expiresMs }).where("name", "=", job).execute()),
    renewLeases: async (owner, expiresMs) =>
      (await db.updateTable("training_job").set({ lease_expires_ms: expiresMs }).where("lease_owner", "=", owner).where("state", "=", "RUNNING").returning(["name", "attempt"]).execute()).map(
        ({ name, attempt }) => ({ job: name, attempt, owner }),
      ),
    abandoned: async (nowMs, owner, limit) =>
      (
        await jobs()
          .where("state", "=", "RUNNING")
          .where((eb) => eb.or([eb("lease_owner", "is", null), eb("lease_expires_ms", "<", nowMs), ...(owner === undefined ? [] : [eb("lease_owner", "=", owner)])]))
          .orderBy("sequence")
          .limit(limit)
          .execute()
      ).map(toRecord),
    claims: async (state, limit) =>
      (
        await db
          .selectFrom("training_job")
          .select(["name", "project", "priority", "sequence", "lease_owner"])
          .where("state", "=", state)
          .orderBy("priority", "desc")
          .orderBy("sequence")
          .limit(limit)
          .execute()
      ).map(({ name, project, priority, sequence, lease_owner: owner }) => ({ id: name, project, priority, sequence, owner: owner ?? undefined })),
    overdue: async (nowMs, limit) => (await jobs().where("state", "in", ["QUEUED", "PAUSED"]).where("deadline_ms", "<=", nowMs).orderBy("sequence").limit(limit).execute()).map(toRecord),
    count: async (state, project) => {
      const all = db.selectFrom("training_job").select((eb) => eb.fn.countAll().as("count")).where("state", "=", state);
      return Number((await (project === undefined ? all : all.where("project", "=", project)).executeTakeFirstOrThrow()).count);
    },
    activeOn: async (dataset) => recordOf(await jobs().where("dataset", "=", dataset).where("state", "in", ["QUEUED", "RUNNING", "PAUSED"]).limit(1).executeTakeFirst()),
  };
}

function recordOf(row: { record_json: string } | undefined): JobRecord | undefined {
  return row && toRecord(row);
}

function toRecord(row: { record_json: string }): JobRecord {
  return completeJob(JSON.parse(row.record_json) as JobRecord);
}

/** A record of an older release lacks what was added since. */
export function completeJob(job: JobRecord): JobRecord {
  return { ...JOB_DEFAULTS, ...job, spec: { ...SPEC_DEFAULTS, ...job.spec } };
}

/** What changes with a job. */
function columnsOf(job: JobRecord) {
  return { state: job.state, priority: job.priority, attempt: job.attemptCount, deadline_ms: job.limits.deadlineMs ?? null, end_time_ms: job.endTimeMs ?? null, record_json: JSON.stringify(job) };
}
