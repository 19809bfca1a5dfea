import type { Kysely } from "kysely";
import type { DeploymentRecord, VersionPolicyRecord } from "../domain/records.ts";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

type Row = RegistrySchema["registry_deployment"];

/** Deployments in SQL. */
export function sqlDeployments(db: Kysely<RegistrySchema>): RegistryStore["deployments"] {
  return {
    insert: (deployment) => insertNew(deployment.name, db.insertInto("registry_deployment").values(toRow(deployment)).execute()),
    get: async (name) => {
      const row = await db.selectFrom("registry_deployment").selectAll().where("name", "=", name).executeTakeFirst();
      return row && toRecord(row);
    },
    list: async (project, { after, limit }) => {
      const query = db.selectFrom("registry_deployment").selectAll().where("project", "=", project).where("name", ">", String(after ?? ""));
      return (await query.orderBy("name").limit(limit).execute()).map(toRecord);
    },
    all: async () => (await db.selectFrom("registry_deployment").selectAll().orderBy("name").execute()).map(toRecord),
    update: async (deployment) => void (await db.updateTable("registry_deployment").set(toRow(deployment)).where("name", "=", deployment.name).execute()),
    delete: async (name) => void (await db.deleteFrom("registry_deployment").where("name", "=", name).execute()),
  };
}

function toRow(deployment: DeploymentRecord): Row {
  return {
    name: deployment.name,
    project: deployment.project,
    model: deployment.model,
    policy_json: JSON.stringify(deployment.policy),
    replica_count: deployment.replicaCount,
    serving_config_json: deployment.servingConfigJson,
    revision: deployment.revision,
    create_time_ms: deployment.createTimeMs,
    update_time_ms: deployment.updateTimeMs,
  };
}

function toRecord(row: Row): DeploymentRecord {
  return {
    name: row.name,
    project: row.project,
    model: row.model,
    policy: JSON.parse(row.policy_json) as VersionPolicyRecord,
    replicaCount: row.replica_count,
    servingConfigJson: row.serving_config_json,
    revision: row.revision,
    createTimeMs: row.create_time_ms,
    updateTimeMs: row.update_time_ms,
  };
}
