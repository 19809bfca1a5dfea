import type { Kysely } from "kysely";
import type { FileRecord, FineTuningStore, TuningRecord } from "../domain/fine-tuning/records.ts";
import { tuningEnded } from "../domain/fine-tuning/records.ts";
import { tuningJobNotFound } from "../domain/fine-tuning/fine-tuning-jobs.ts";
import { fileNotFound } from "../domain/fine-tuning/stored-files.ts";
import type { TrainingSchema } from "./schema.ts";

/** Files and fine-tuning jobs in SQL. Ages are ordered by creation time, then by id. */
export function sqlFineTuning(db: Kysely<TrainingSchema>): FineTuningStore {
  return {
    files: {
      put: async (file) => {
        const row = { id: file.id, project: file.project, purpose: file.purpose, sha256: file.sha256, create_time_ms: file.createTimeMs, expire_time_ms: file.expireTimeMs ?? null, record_json: JSON.stringify(file) };
        await db.insertInto("training_file").values(row).onConflict((conflict) => conflict.column("id").doUpdateSet(row)).execute();
      },
      get: async (project, id) => {
        const row = await db.selectFrom("training_file").select("record_json").where("id", "=", id).where("project", "=", project).executeTakeFirst();
        return row && fileOf(row);
      },
      list: async (project, purpose, nowMs, { after, limit, ascending = false }) => {
        const from = after === "" ? undefined : await db.selectFrom("training_file").select(["id", "create_time_ms"]).where("id", "=", after).where("project", "=", project).executeTakeFirst();
        if (after !== "" && from === undefined) throw fileNotFound(after, "after");
        const beyond = ascending ? (">" as const) : ("<" as const);
        const rows = await db
          .selectFrom("training_file")
          .select("record_json")
          .where("project", "=", project)
          .where((eb) => eb.or([eb("expire_time_ms", "is", null), eb("expire_time_ms", ">", nowMs)]))
          .$if(purpose !== "", (query) => query.where("purpose", "=", purpose))
          .$if(from !== undefined, (query) => query.where((eb) => eb.or([eb("create_time_ms", beyond, from?.create_time_ms ?? 0), eb.and([eb("create_time_ms", "=", from?.create_time_ms ?? 0), eb("id", beyond, from?.id ?? "")])])))
          .orderBy("create_time_ms", ascending ? "asc" : "desc")
          .orderBy("id", ascending ? "asc" : "desc")
          .limit(limit)
          .execute();
        return rows.map(fileOf);
      },
      delete: async (project, id) => void (await db.deleteFrom("training_file").where("id", "=", id).where("project", "=", project).execute()),
      refersTo: async (sha256) => (await db.selectFrom("training_file").select("id").where("sha256", "=", sha256).limit(1).executeTakeFirst()) !== undefined,
      expired: async (nowMs) => (await db.selectFrom("training_file").select("record_json").where("expire_time_ms", "<=", nowMs).limit(1_000).execute()).map(fileOf),
    },
    jobs: {
      insert: async (job) => void (await db.insertInto("training_fine_tuning").values({ id: job.id, project: job.project, create_time_ms: job.createTimeMs, ended: Number(tuningEnded(job)), revision: 0, record_json: JSON.stringify(job) }).execute()),
      get: async (project, id) => {
        const row = await db.selectFrom("training_fine_tuning").select("record_json").where("id", "=", id).where("project", "=", project).executeTakeFirst();
        return row && jobOf(row);
      },
      change: (id, transition) =>
        db.transaction().execute(async (transaction) => {
          const row = await transaction.updateTable("training_fine_tuning").set((eb) => ({ revision: eb("revision", "+", 1) })).where("id", "=", id).returning("record_json").executeTakeFirst();
          if (row === undefined) return undefined;
          const before = jobOf(row);
          const after = transition(before);
          if (after !== before) await transaction.updateTable("training_fine_tuning").set({ ended: Number(tuningEnded(after)), record_json: JSON.stringify(after) }).where("id", "=", id).execute();
          return after;
        }),
      list: async (project, { after, limit }) => {
        const from = after === "" ? undefined : await db.selectFrom("training_fine_tuning").select(["id", "create_time_ms"]).where("id", "=", after).where("project", "=", project).executeTakeFirst();
        if (after !== "" && from === undefined) throw tuningJobNotFound(after, "after");
        const rows = await db
          .selectFrom("training_fine_tuning")
          .select("record_json")
          .where("project", "=", project)
          .$if(from !== undefined, (query) => query.where((eb) => eb.or([eb("create_time_ms", "<", from?.create_time_ms ?? 0), eb.and([eb("create_time_ms", "=", from?.create_time_ms ?? 0), eb("id", "<", from?.id ?? "")])])))
          .orderBy("create_time_ms", "desc")
          .orderBy("id", "desc")
          .limit(limit)
          .execute();
        return rows.map(jobOf);
      },
      unfinished: async () => (await db.selectFrom("training_fine_tuning").select("record_json").where("ended", "=", 0).orderBy("create_time_ms").execute()).map(jobOf),
    },
  };
}

function fileOf({ record_json }: { record_json: string }): FileRecord {
  return JSON.parse(record_json) as FileRecord;
}

function jobOf({ record_json }: { record_json: string }): TuningRecord {
  return JSON.parse(record_json) as TuningRecord;
}
