import type { Kysely } from "kysely";
import type { AliasRecord } from "../domain/records.ts";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";

/** Aliases in SQL. */
export function sqlAliases(db: Kysely<RegistrySchema>): RegistryStore["aliases"] {
  const toRecord = (row: RegistrySchema["registry_alias"]): AliasRecord => ({ name: row.name, model: row.model, version: row.version, revision: row.revision, updateTimeMs: row.update_time_ms });
  return {
    get: async (name) => {
      const row = await db.selectFrom("registry_alias").selectAll().where("name", "=", name).executeTakeFirst();
      return row && toRecord(row);
    },
    list: async (model, { after, limit }) => {
      const query = db.selectFrom("registry_alias").selectAll().where("model", "=", model).where("name", ">", String(after ?? ""));
      return (await query.orderBy("name").limit(limit).execute()).map(toRecord);
    },
    all: async () => (await db.selectFrom("registry_alias").selectAll().orderBy("name").execute()).map(toRecord),
    put: async ({ name, model, version, revision, updateTimeMs }) => {
      const row = { name, model, version, revision, update_time_ms: updateTimeMs };
      await db.insertInto("registry_alias").values(row).onConflict((conflict) => conflict.column("name").doUpdateSet(row)).execute();
    },
    delete: async (name) => void (await db.deleteFrom("registry_alias").where("name", "=", name).execute()),
  };
}
