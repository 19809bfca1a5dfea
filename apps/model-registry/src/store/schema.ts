import { sql, type Kysely } from "kysely";
import type { Migration } from "kysely/migration";

/** Tables of the registry. Times are milliseconds since the epoch; `_json` columns hold JSON text. */
export interface RegistrySchema {
  registry_model: { name: string; project: string; display_name: string; description: string; labels_json: string; latest_version: number; next_version: number; revision: number; create_time_ms: number; update_time_ms: number; promotion_gates_json: string };
  registry_version: {
    name: string; model: string; number: number; state: string; digest: string; failure_reason: string; failure_message: string; signature_json: string; lineage_json: string;
    description: string; labels_json: string; serving_config_json: string; metrics_json: string; request_id: string | null; create_time_ms: number; finalize_time_ms: number | null;
  };
  registry_artifact: { version: string; path: string; sha256: string; size_bytes: number };
  registry_alias: { name: string; model: string; version: string; revision: number; update_time_ms: number };
  registry_deployment: { name: string; project: string; model: string; policy_json: string; replica_count: number; serving_config_json: string; revision: number; create_time_ms: number; update_time_ms: number };
  registry_replica: { replica_id: string; address: string; memory_budget_bytes: number; draining: number; expire_time_ms: number };
  registry_version_status: { replica_id: string; deployment: string; version: number; state: number; message: string; assignment_etag: string; memory_bytes: number };
  registry_event: { sequence: number; project: string; type: string; resource: string; time_ms: number; principal: string; attributes_json: string };
  registry_counter: { name: string; value: number };
}

/** The schema's history; entries never change. */
export const REGISTRY_MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_registry": { up: createTables },
  "0002_placement": { up: addPlacement },
  "0003_promotion_gates": { up: addPromotionGates },
};

async function addPromotionGates(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("registry_model").addColumn("promotion_gates_json", "text", (c) => c.notNull().defaultTo("[]")).execute();
}

async function addPlacement(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("registry_replica").addColumn("draining", "integer", (c) => c.notNull().defaultTo(0)).execute();
  await db.schema.alterTable("registry_version_status").addColumn("memory_bytes", "bigint", (c) => c.notNull().defaultTo(0)).execute();
}

async function createTables(db: Kysely<unknown>): Promise<void> {
  const text = "text";
  await db.schema.createTable("registry_model")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey()).addColumn("project", "varchar(63)", (c) => c.notNull())
    .addColumn("display_name", text, (c) => c.notNull()).addColumn("description", text, (c) => c.notNull()).addColumn("labels_json", text, (c) => c.notNull())
    .addColumn("latest_version", "bigint", (c) => c.notNull()).addColumn("next_version", "bigint", (c) => c.notNull()).addColumn("revision", "bigint", (c) => c.notNull())
    .addColumn("create_time_ms", "bigint", (c) => c.notNull()).addColumn("update_time_ms", "bigint", (c) => c.notNull()).execute();
  await db.schema.createTable("registry_version")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey()).addColumn("model", "varchar(255)", (c) => c.notNull().references("registry_model.name").onDelete("cascade"))
    .addColumn("number", "bigint", (c) => c.notNull()).addColumn("state", "varchar(16)", (c) => c.notNull()).addColumn("digest", text, (c) => c.notNull())
    .addColumn("failure_reason", text, (c) => c.notNull()).addColumn("failure_message", text, (c) => c.notNull()).addColumn("signature_json", text, (c) => c.notNull())
    .addColumn("lineage_json", text, (c) => c.notNull()).addColumn("description", text, (c) => c.notNull()).addColumn("labels_json", text, (c) => c.notNull())
    .addColumn("serving_config_json", text, (c) => c.notNull()).addColumn("metrics_json", text, (c) => c.notNull()).addColumn("request_id", "varchar(64)")
    .addColumn("create_time_ms", "bigint", (c) => c.notNull()).addColumn("finalize_time_ms", "bigint")
    .addUniqueConstraint("registry_version_number", ["model", "number"]).addUniqueConstraint("registry_version_request", ["model", "request_id"]).execute();
  await db.schema.createTable("registry_artifact")
    .addColumn("version", "varchar(255)", (c) => c.notNull().references("registry_version.name").onDelete("cascade")).addColumn("path", "varchar(255)", (c) => c.notNull())
    .addColumn("sha256", "varchar(64)", (c) => c.notNull()).addColumn("size_bytes", "bigint", (c) => c.notNull()).addPrimaryKeyConstraint("registry_artifact_key", ["version", "path"]).execute();
  await db.schema.createTable("registry_alias")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey()).addColumn("model", "varchar(255)", (c) => c.notNull().references("registry_model.name").onDelete("cascade"))
    .addColumn("version", "varchar(255)", (c) => c.notNull()).addColumn("revision", "bigint", (c) => c.notNull()).addColumn("update_time_ms", "bigint", (c) => c.notNull()).execute();
  await db.schema.createTable("registry_deployment")
    .addColumn("name", "varchar(255)", (c) => c.primaryKey()).addColumn("project", "varchar(63)", (c) => c.notNull()).addColumn("model", "varchar(255)", (c) => c.notNull())
    .addColumn("policy_json", text, (c) => c.notNull()).addColumn("replica_count", "integer", (c) => c.notNull()).addColumn("serving_config_json", text, (c) => c.notNull())
    .addColumn("revision", "bigint", (c) => c.notNull()).addColumn("create_time_ms", "bigint", (c) => c.notNull()).addColumn("update_time_ms", "bigint", (c) => c.notNull()).execute();
  await db.schema.createTable("registry_replica")
    .addColumn("replica_id", "varchar(255)", (c) => c.primaryKey()).addColumn("address", text, (c) => c.notNull()).addColumn("memory_budget_bytes", "bigint", (c) => c.notNull())
    .addColumn("expire_time_ms", "bigint", (c) => c.notNull()).execute();
  await db.schema.createTable("registry_version_status")
    .addColumn("replica_id", "varchar(255)", (c) => c.notNull().references("registry_replica.replica_id").onDelete("cascade")).addColumn("deployment", "varchar(255)", (c) => c.notNull())
    .addColumn("version", "bigint", (c) => c.notNull()).addColumn("state", "integer", (c) => c.notNull()).addColumn("message", text, (c) => c.notNull())
    .addColumn("assignment_etag", text, (c) => c.notNull()).addPrimaryKeyConstraint("registry_version_status_key", ["replica_id", "deployment", "version"]).execute();
  await db.schema.createTable("registry_event")
    .addColumn("sequence", "bigint", (c) => c.primaryKey()).addColumn("project", "varchar(63)", (c) => c.notNull()).addColumn("type", "varchar(63)", (c) => c.notNull())
    .addColumn("resource", text, (c) => c.notNull()).addColumn("time_ms", "bigint", (c) => c.notNull()).addColumn("principal", text, (c) => c.notNull()).addColumn("attributes_json", text, (c) => c.notNull()).execute();
  await db.schema.createTable("registry_counter").addColumn("name", "varchar(63)", (c) => c.primaryKey()).addColumn("value", "bigint", (c) => c.notNull()).execute();
  await sql`insert into registry_counter (name, value) values ('event', 0)`.execute(db);
}
