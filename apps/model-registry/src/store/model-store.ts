import type { Kysely, Selectable } from "kysely";
import type { ModelRecord } from "../domain/records.ts";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

/** Models in SQL. */
export function sqlModels(db: Kysely<RegistrySchema>): RegistryStore["models"] {
  return {
    insert: (model) => insertNew(model.name, db.insertInto("registry_model").values(toRow(model)).execute()),
    get: async (name) => {
      const row = await db.selectFrom("registry_model").selectAll().where("name", "=", name).executeTakeFirst();
      return row && toRecord(row);
    },
    list: async (project, { after, limit }) => {
      const query = db.selectFrom("registry_model").selectAll().where("project", "=", project).where("name", ">", String(after ?? ""));
      return (await query.orderBy("name").limit(limit).execute()).map(toRecord);
    },
    update: async (model) => void (await db.updateTable("registry_model").set(toRow(model)).where("name", "=", model.name).execute()),
    takeVersionNumber: async (name, wanted) => {
      const taken = await db
        .updateTable("registry_model")
        .set((eb) => ({ next_version: wanted === 0 ? eb("next_version", "+", 1) : wanted + 1 }))
        .where("name", "=", name)
        .$if(wanted > 0, (query) => query.where("next_version", "<=", wanted))
        .returning("next_version")
        .executeTakeFirst();
      return taken === undefined ? undefined : taken.next_version - 1;
    },
    delete: async (name) => void (await db.deleteFrom("registry_model").where("name", "=", name).execute()),
  };
}

type Row = Selectable<RegistrySchema["registry_model"]>;

function toRow(model: ModelRecord): Row {
  return {
    name: model.name,
    project: model.project,
    display_name: model.displayName,
    description: model.description,
    labels_json: JSON.stringify(model.labels),
    latest_version: model.latestVersion,
    next_version: model.nextVersion,
    revision: model.revision,
    create_time_ms: model.createTimeMs,
    update_time_ms: model.updateTimeMs,
    promotion_gates_json: JSON.stringify(model.promotionGates),
  };
}

function toRecord(row: Row): ModelRecord {
  return {
    name: row.name,
    project: row.project,
    displayName: row.display_name,
    description: row.description,
    labels: JSON.parse(row.labels_json) as Record<string, string>,
    latestVersion: row.latest_version,
    nextVersion: row.next_version,
    revision: row.revision,
    createTimeMs: row.create_time_ms,
    updateTimeMs: row.update_time_ms,
    promotionGates: JSON.parse(row.promotion_gates_json) as ModelRecord["promotionGates"],
  };
}
