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
      replicaId: row.replica_id, deployment: row.deployment, version: row.version, state: row.state, message: row.message, assignmentEtag: row.assignment_etag,
    }));
  };
  return {
    report: async (replica, statuses) => {
      const row = { replica_id: replica.replicaId, address: replica.address, memory_budget_bytes: replica.memoryBudgetBytes, expire_time_ms: replica.expireTimeMs };
      const known = await db.selectFrom("registry_replica").selectAll().where("replica_id", "=", replica.replicaId).executeTakeFirst();
      await db.insertInto("registry_replica").values(row).onConflict((conflict) => conflict.column("replica_id").doUpdateSet(row)).execute();
      const order = (a: VersionStatusRecord, b: VersionStatusRecord): number => (a.deployment === b.deployment ? a.version - b.version : a.deployment < b.deployment ? -1 : 1);
      const wanted = [...statuses].sort(order);
      if (known?.address === replica.address && JSON.stringify(wanted) === JSON.stringify((await statusesOf(replica.replicaId)).sort(order))) return false;
      await db.deleteFrom("registry_version_status").where("replica_id", "=", replica.replicaId).execute();
      for (const status of wanted) {
        await db.insertInto("registry_version_status").values({ replica_id: status.replicaId, deployment: status.deployment, version: status.version, state: status.state, message: status.message, assignment_etag: status.assignmentEtag }).execute();
      }
      return true;
    },
    delete: async (replicaId) => {
      await db.deleteFrom("registry_version_status").where("replica_id", "=", replicaId).execute();
      await db.deleteFrom("registry_replica").where("replica_id", "=", replicaId).execute();
    },
    live: async (nowMs) =>
      (await db.selectFrom("registry_replica").selectAll().where("expire_time_ms", ">", nowMs).orderBy("replica_id").execute()).map((row): ReplicaRecord => ({
        replicaId: row.replica_id, address: row.address, memoryBudgetBytes: row.memory_budget_bytes, expireTimeMs: row.expire_time_ms,
      })),
    statuses: () => statusesOf(undefined),
  };
}
