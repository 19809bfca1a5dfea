import type { Kysely } from "kysely";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";

/** The event log in SQL. */
export function sqlEvents(db: Kysely<RegistrySchema>): RegistryStore["events"] {
  const newest = async (): Promise<number> => (await db.selectFrom("registry_counter").select("value").where("name", "=", "event").executeTakeFirstOrThrow()).value;
  return {
    append: async (event) => {
      // The counter's row lock is held to the commit: numbers become visible in their order, so no watcher skips one.
      const { value } = await db.updateTable("registry_counter").set((eb) => ({ value: eb("value", "+", 1) })).where("name", "=", "event").returning("value").executeTakeFirstOrThrow();
      await db.insertInto("registry_event").values({ sequence: value, project: event.project, type: event.type, resource: event.resource, time_ms: event.timeMs, principal: event.principal, attributes_json: JSON.stringify(event.attributes) }).execute();
      return value;
    },
    after: async (project, sequence, limit) =>
      (await db.selectFrom("registry_event").selectAll().where("project", "=", project).where("sequence", ">", sequence).orderBy("sequence").limit(limit).execute()).map((row) => ({
        sequence: row.sequence, project: row.project, type: row.type, resource: row.resource, timeMs: row.time_ms, principal: row.principal, attributes: JSON.parse(row.attributes_json) as Record<string, string>,
      })),
    resourcesAfter: async (sequence, limit) =>
      (await db.selectFrom("registry_event").select("resource").where("sequence", ">", sequence).orderBy("sequence").limit(limit).execute()).map(({ resource }) => resource),
    newest,
    oldest: async () => (await db.selectFrom("registry_event").select((eb) => eb.fn.min("sequence").as("sequence")).executeTakeFirst())?.sequence ?? 0,
    compact: async (keep) => void (await db.deleteFrom("registry_event").where("sequence", "<=", (await newest()) - keep).execute()),
  };
}
