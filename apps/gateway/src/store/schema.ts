import type { Migration } from "kysely/migration";

/** The gateway's tables. Times are milliseconds since 1970. */
export interface GatewaySchema {
  gateway_project: { id: string; display_name: string; create_time: number };
  gateway_api_key: {
    project_id: string;
    id: string;
    /** SHA-256 of the secret: the secret itself is never stored. */
    hash: string;
    prefix: string;
    role: string;
    display_name: string;
    create_time: number;
    expire_time: number | null;
    last_use_time: number | null;
    /** A revoked key stays known, so that a restart does not bring it back. */
    delete_time: number | null;
  };
  gateway_usage_record: {
    /** Sorts by time; unique whatever request ids callers choose. */
    id: string;
    request_id: string;
    project_id: string;
    api_key: string;
    model: string;
    model_version: string;
    operation: string;
    unit: string;
    unit_count: number;
    outcome: string;
    size_bytes: number;
    duration_us: number;
    time: number;
  };
}

/** Begin of the migration tables' names. */
export const GATEWAY_NAMESPACE = "gateway";

/** The schema's history. */
export const GATEWAY_MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_projects_keys_usage": {
    up: async (db) => {
      await db.schema
        .createTable("gateway_project")
        .addColumn("id", "varchar(63)", (column) => column.primaryKey())
        .addColumn("display_name", "text", (column) => column.notNull())
        .addColumn("create_time", "bigint", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("gateway_api_key")
        .addColumn("project_id", "varchar(63)", (column) => column.notNull().references("gateway_project.id"))
        .addColumn("id", "varchar(63)", (column) => column.notNull())
        .addColumn("hash", "char(64)", (column) => column.notNull().unique())
        .addColumn("prefix", "varchar(20)", (column) => column.notNull())
        .addColumn("role", "varchar(20)", (column) => column.notNull())
        .addColumn("display_name", "text", (column) => column.notNull())
        .addColumn("create_time", "bigint", (column) => column.notNull())
        .addColumn("expire_time", "bigint")
        .addColumn("last_use_time", "bigint")
        .addColumn("delete_time", "bigint")
        .addPrimaryKeyConstraint("gateway_api_key_pk", ["project_id", "id"])
        .execute();
      await db.schema
        .createTable("gateway_usage_record")
        .addColumn("id", "varchar(40)", (column) => column.primaryKey())
        .addColumn("request_id", "varchar(128)", (column) => column.notNull())
        .addColumn("project_id", "varchar(63)", (column) => column.notNull())
        .addColumn("api_key", "varchar(200)", (column) => column.notNull())
        .addColumn("model", "varchar(200)", (column) => column.notNull())
        .addColumn("model_version", "varchar(40)", (column) => column.notNull())
        .addColumn("operation", "varchar(40)", (column) => column.notNull())
        .addColumn("unit", "varchar(20)", (column) => column.notNull())
        .addColumn("unit_count", "bigint", (column) => column.notNull())
        .addColumn("outcome", "varchar(30)", (column) => column.notNull())
        .addColumn("size_bytes", "bigint", (column) => column.notNull())
        .addColumn("duration_us", "bigint", (column) => column.notNull())
        .addColumn("time", "bigint", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("gateway_usage_record_by_project").on("gateway_usage_record").columns(["project_id", "id"]).execute();
    },
  },
};
