import type { Kysely } from "kysely";
import type { JobEventRecord } from "../domain/records.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import { completeJob } from "./job-store.ts";
import type { TrainingSchema } from "./schema.ts";

/** The jobs' logs in SQL. */
export function sqlJobEvents(db: Kysely<TrainingSchema>): TrainingStore["events"] {
  return {
    append: async (job, { timeMs, event }, keep) => {
      // The job's row lock is held to the commit: offsets become visible in their order, so no watcher skips one.
      const { last_offset: offset } = await db
        .updateTable("training_job")
        .set((eb) => ({ last_offset: eb("last_offset", "+", 1) }))
        .where("name", "=", job)
        .returning("last_offset")
        .executeTakeFirstOrThrow();
      await db.insertInto("training_event").values({ job, event_offset: offset, time_ms: timeMs, event_json: JSON.stringify(event) }).execute();
      if (offset > keep) await db.deleteFrom("training_event").where("job", "=", job).where("event_offset", "<=", offset - keep).execute();
      return offset;
    },
    after: async (job, offset, limit) =>
      (await db.selectFrom("training_event").selectAll().where("job", "=", job).where("event_offset", ">", offset).orderBy("event_offset").limit(limit).execute()).map((row) => ({
        offset: row.event_offset,
        timeMs: row.time_ms,
        event: completed(JSON.parse(row.event_json) as JobEventRecord["event"]),
      })),
  };
}

/** An event of an older release holds a job that lacks what was added since. */
function completed(event: JobEventRecord["event"]): JobEventRecord["event"] {
  return event.kind === "state" ? { ...event, job: completeJob(event.job) } : event;
}
