import type { Kysely } from "kysely";
import type { CheckpointRecord } from "../domain/run-record.ts";
import type { TrainingStore } from "../domain/training-store.ts";
import type { TrainingSchema } from "./schema.ts";

/** Checkpoints of jobs in SQL; their bytes are blobs. */
export function sqlCheckpoints(db: Kysely<TrainingSchema>): TrainingStore["checkpoints"] {
  const toRecord = (row: { record_json: string }): CheckpointRecord => JSON.parse(row.record_json) as CheckpointRecord;
  const remove = async (job: string, step: number): Promise<void> => void (await db.deleteFrom("training_checkpoint").where("job", "=", job).where("step", "=", step).execute());
  return {
    insert: async (job, checkpoint) => {
      await remove(job, checkpoint.step);
      await db.insertInto("training_checkpoint").values({ job, step: checkpoint.step, sha256: checkpoint.sha256, record_json: JSON.stringify(checkpoint) }).execute();
    },
    list: async (job) => (await db.selectFrom("training_checkpoint").select("record_json").where("job", "=", job).orderBy("step", "desc").execute()).map(toRecord),
    delete: remove,
    refersTo: async (sha256) => (await db.selectFrom("training_checkpoint").select("job").where("sha256", "=", sha256).limit(1).executeTakeFirst()) !== undefined,
    ofEnded: async (beforeMs, limit) =>
      (
        await db
          .selectFrom("training_checkpoint")
          .innerJoin("training_job", "training_job.name", "training_checkpoint.job")
          .select(["training_checkpoint.job", "training_checkpoint.record_json"])
          .where("training_job.end_time_ms", "<", beforeMs)
          .limit(limit)
          .execute()
      ).map((row) => ({ job: row.job, checkpoint: toRecord(row) })),
  };
}
