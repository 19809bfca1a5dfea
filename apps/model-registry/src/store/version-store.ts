import type { ModelSignature } from "@servable/onnx";
import type { Kysely, Selectable } from "kysely";
import type { ArtifactRecord, LineageRecord, VersionRecord, VersionState } from "../domain/records.ts";
import type { RegistryStore } from "../domain/registry-store.ts";
import type { RegistrySchema } from "./schema.ts";
import { insertNew } from "@servable/storage";

/** Versions and their files in SQL. */
export function sqlVersions(db: Kysely<RegistrySchema>): RegistryStore["versions"] {
  const withArtifacts = async (rows: readonly Row[]): Promise<VersionRecord[]> => {
    if (rows.length === 0) return [];
    const names = rows.map(({ name }) => name);
    const artifacts = await db.selectFrom("registry_artifact").selectAll().where("version", "in", names).orderBy("path").execute();
    return rows.map((row) => toRecord(row, artifacts.filter(({ version }) => version === row.name).map(({ path, sha256, size_bytes }) => ({ path, sha256, sizeBytes: size_bytes }))));
  };
  return {
    insert: (version) => insertNew(version.name, db.insertInto("registry_version").values(toRow(version)).execute()),
    get: async (name) => (await withArtifacts(await db.selectFrom("registry_version").selectAll().where("name", "=", name).execute()))[0],
    getByRequestId: async (model, requestId) =>
      (await withArtifacts(await db.selectFrom("registry_version").selectAll().where("model", "=", model).where("request_id", "=", requestId).execute()))[0],
    list: async (model, { after, limit, state }) => {
      let query = db.selectFrom("registry_version").selectAll().where("model", "=", model);
      if (after !== undefined) query = query.where("number", "<", Number(after));
      if (state !== undefined) query = query.where("state", "=", state);
      return withArtifacts(await query.orderBy("number", "desc").limit(limit).execute());
    },
    update: async (version) => void (await db.updateTable("registry_version").set(toRow(version)).where("name", "=", version.name).execute()),
    putArtifact: async (version, { path, sha256, sizeBytes }) =>
      void (await db
        .insertInto("registry_artifact")
        .values({ version, path, sha256, size_bytes: sizeBytes })
        .onConflict((conflict) => conflict.columns(["version", "path"]).doUpdateSet({ sha256, size_bytes: sizeBytes }))
        .execute()),
    delete: async (name) => void (await db.deleteFrom("registry_version").where("name", "=", name).execute()),
  };
}

type Row = Selectable<RegistrySchema["registry_version"]>;

function toRow(version: VersionRecord): Row {
  return {
    name: version.name,
    model: version.model,
    number: version.number,
    state: version.state,
    digest: version.digest,
    failure_reason: version.failureReason,
    failure_message: version.failureMessage,
    signature_json: JSON.stringify(version.signature ?? null),
    lineage_json: JSON.stringify(version.lineage),
    description: version.description,
    labels_json: JSON.stringify(version.labels),
    serving_config_json: version.servingConfigJson,
    metrics_json: JSON.stringify(version.metrics),
    request_id: version.requestId ?? null,
    create_time_ms: version.createTimeMs,
    finalize_time_ms: version.finalizeTimeMs ?? null,
  };
}

function toRecord(row: Row, artifacts: readonly ArtifactRecord[]): VersionRecord {
  return {
    name: row.name,
    model: row.model,
    number: row.number,
    state: row.state as VersionState,
    digest: row.digest,
    failureReason: row.failure_reason,
    failureMessage: row.failure_message,
    artifacts,
    signature: (JSON.parse(row.signature_json) as ModelSignature | null) ?? undefined,
    lineage: JSON.parse(row.lineage_json) as LineageRecord,
    description: row.description,
    labels: JSON.parse(row.labels_json) as Record<string, string>,
    servingConfigJson: row.serving_config_json,
    metrics: JSON.parse(row.metrics_json) as Record<string, number>,
    requestId: row.request_id ?? undefined,
    createTimeMs: row.create_time_ms,
    finalizeTimeMs: row.finalize_time_ms ?? undefined,
  };
}
