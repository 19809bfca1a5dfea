import type { Kysely } from "kysely";
import type { TrainingStore } from "../domain/training-store.ts";
import type { TrainingSchema } from "./schema.ts";

/** What projects used, in SQL. */
export function sqlShares(db: Kysely<TrainingSchema>): TrainingStore["shares"] {
  return {
    list: async () => (await db.selectFrom("training_share").selectAll().execute()).map((row) => ({ project: row.project, usageMs: Number(row.usage_ms), atMs: Number(row.at_ms) })),
    set: async (project, usageMs, atMs) =>
      void (await db
        .insertInto("training_share")
        .values({ project, usage_ms: usageMs, at_ms: atMs })
        .onConflict((conflict) => conflict.column("project").doUpdateSet({ usage_ms: usageMs, at_ms: atMs }))
        .execute()),
  };
}
