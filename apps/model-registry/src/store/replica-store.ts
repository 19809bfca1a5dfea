import type { Kysely } from "kysely";
import type { ReplicaRecord, VersionStatusRecord } from "../domain/records.ts";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";

/** Replicas' leases and reports in SQL. */
export function sqlReplicas(db: Kysely<RegistrySchema>): RegistryStore["replicas"] {
  const statusesOf = async (replicaId: string | undefined): Promise<VersionStatusRecord[]> => {
    let query = db.selectFrom("registry_version_status").selectAll();
    if (replicaId !== undefined) query = query.where("replica_id", "=", replicaId);
    return (await query.orderBy("replica_id").orderBy("deployment").orderBy("version").execute()).map((row) => ({
      replicaId: row.replica_id, deployment: row.deployment, version: row.version, state: row.state, message: row.message, assignmentEtag: row.assignment_etag, memoryBytes: row.memory_bytes,
    }));
  };
  return {
    report: async (replica, statuses) => {
      const row = { replica_id: replica.replicaId, address: replica.address, memory_budget_bytes: replica.memoryBudgetBytes, draining: replica.draining ? 1 : 0, expire_time_ms: replica.expireTimeMs };
      const known = await db.selectFrom("registry_replica").selectAll().where("replica_id", "=", replica.replicaId).executeTakeFirst();
      await db.insertInto("registry_replica").values(row).onConflict((conflict) => conflict.column("replica_id").doUpdateSet(row)).execute();
      // A replica of many models reports each change of one: only what differs is written.
      const stored = new Map((await statusesOf(replica.replicaId)).map((status) => [keyOf(status), JSON.stringify(status)]));
      const reported = new Map(statuses.map((status) => [keyOf(status), status]));
      const changed = [...reported].filter(([key, status]) => stored.get(key) !== JSON.stringify(inOrder(status))).map(([, status]) => status);
      for (const status of changed) {
        const values = { replica_id: status.replicaId, deployment: status.deployment, version: status.version, state: status.state, message: status.message, assignment_etag: status.assignmentEtag, memory_bytes: status.memoryBytes };
        await db.insertInto("registry_version_status").values(values).onConflict((conflict) => conflict.columns(["replica_id", "deployment", "version"]).doUpdateSet(values)).execute();
      }
      const gone = [...stored.keys()].filter((key) => !reported.has(key));
      for (const key of gone) {
        const at = key.lastIndexOf("@");
        await db.deleteFrom("registry_version_status").where("replica_id", "=", replica.replicaId).where("deployment", "=", key.slice(0, at)).where("version", "=", Number(key.slice(at + 1))).execute();
      }
      const same = known?.address === row.address && known.memory_budget_bytes === row.memory_budget_bytes && known.draining === row.draining;
      return !same || changed.length > 0 || gone.length > 0;
    },
    delete: async (replicaId) => {
      await db.deleteFrom("registry_version_status").where("replica_id", "=", replicaId).execute();
      await db.deleteFrom("registry_replica").where("replica_id", "=", replicaId).execute();
    },
    live: async (nowMs) =>
      (await db.selectFrom("registry_replica").selectAll().where("expire_time_ms", ">", nowMs).orderBy("replica_id").execute()).map((row): ReplicaRecord => ({
        replicaId: row.replica_id, address: row.address, memoryBudgetBytes: row.memory_budget_bytes, draining: row.draining === 1, expireTimeMs: row.expire_time_ms,
      })),
    statuses: () => statusesOf(undefined),
  };
}

function keyOf({ deployment, version }: VersionStatusRecord): string {
  return `${deployment}@${version}`;
}

/** The same record with its fields in the order in which they are read. */
function inOrder({ replicaId, deployment, version, state, message, assignmentEtag, memoryBytes }: VersionStatusRecord): VersionStatusRecord {
  return { replicaId, deployment, version, state, message, assignmentEtag, memoryBytes };
}
