import type { Database } from "@servable/storage";
import type { GatewaySchema } from "./schema.ts";

/** One call to a model. */
export interface UsageRecord {
  /** Sorts by time, unique. */
  readonly id: string;
  readonly requestId: string;
  readonly projectId: string;
  /** Resource name of the key; empty when keys are switched off. */
  readonly apiKey: string;
  /** As the caller said it. */
  readonly model: string;
  /** As the caller said it; empty = the default one. */
  readonly modelVersion: string;
  /** E.g. "ModelInfer", "Predict". */
  readonly operation: string;
  readonly unit: string;
  readonly unitCount: number;
  /** "OK" or a gRPC code's name. */
  readonly outcome: string;
  /** Request and response. */
  readonly sizeBytes: number;
  readonly durationUs: number;
  /** When the call ended. */
  readonly timeMs: number;
}

/** Usage records in SQL. */
export interface UsageStore {
  /** Adds records; those that are there already (a batch sent again) stay single. */
  add(records: readonly UsageRecord[]): Promise<void>;
  /** Up to `limit` records of a project, newest first, those older than `beforeId`. */
  list(projectId: string, limit: number, beforeId?: string): Promise<UsageRecord[]>;
}

/** SQLite takes at most 32 766 parameters a statement. */
const ROWS_PER_STATEMENT = 500;

/** Usage records in the gateway's database. */
export function createUsageStore({ sql }: Database<GatewaySchema>): UsageStore {
  return {
    async add(records) {
      for (let from = 0; from < records.length; from += ROWS_PER_STATEMENT) {
        await sql
          .insertInto("gateway_usage_record")
          .values(records.slice(from, from + ROWS_PER_STATEMENT).map(rowOf))
          .onConflict((conflict) => conflict.column("id").doNothing())
          .execute();
      }
    },
    async list(projectId, limit, beforeId) {
      let query = sql.selectFrom("gateway_usage_record").selectAll().where("project_id", "=", projectId);
      if (beforeId !== undefined) query = query.where("id", "<", beforeId);
      const rows = await query.orderBy("id", "desc").limit(limit).execute();
      return rows.map(recordOf);
    },
  };
}

function rowOf(record: UsageRecord): GatewaySchema["gateway_usage_record"] {
  return {
    id: record.id,
    request_id: record.requestId,
    project_id: record.projectId,
    api_key: record.apiKey,
    model: record.model,
    model_version: record.modelVersion,
    operation: record.operation,
    unit: record.unit,
    unit_count: record.unitCount,
    outcome: record.outcome,
    size_bytes: record.sizeBytes,
    duration_us: record.durationUs,
    time: record.timeMs,
  };
}

function recordOf(row: GatewaySchema["gateway_usage_record"]): UsageRecord {
  return {
    id: row.id,
    requestId: row.request_id,
    projectId: row.project_id,
    apiKey: row.api_key,
    model: row.model,
    modelVersion: row.model_version,
    operation: row.operation,
    unit: row.unit,
    unitCount: row.unit_count,
    outcome: row.outcome,
    sizeBytes: row.size_bytes,
    durationUs: row.duration_us,
    timeMs: row.time,
  };
}
