import type { Database } from "@servable/storage";
import type { CompiledQuery } from "kysely";
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

/** Rows of one statement, largest first: each statement is compiled once, and any number of records is made of these. */
const STATEMENT_ROWS = [100, 10, 1] as const;

/** Usage records in the gateway's database. */
export function createUsageStore({ sql }: Database<GatewaySchema>): UsageStore {
  const statements = new Map<number, CompiledQuery>();
  const statementOf = (rows: readonly Row[]): CompiledQuery => {
    let statement = statements.get(rows.length);
    if (statement === undefined) {
      // Building a statement costs more than running it, and each call to a model is a row.
      statement = sql
        .insertInto("gateway_usage_record")
        .values([...rows])
        .onConflict((conflict) => conflict.column("id").doNothing())
        .compile();
      statements.set(rows.length, statement);
    }
    return { ...statement, parameters: rows.flatMap((row) => COLUMNS.map((column) => row[column])) };
  };
  return {
    async add(records) {
      const rows = records.map(rowOf);
      // One transaction, so that the disk is waited for once.
      await sql.transaction().execute(async (transaction) => {
        let from = 0;
        for (const count of STATEMENT_ROWS) {
          for (; rows.length - from >= count; from += count) await transaction.executeQuery(statementOf(rows.slice(from, from + count)));
        }
      });
    },
    async list(projectId, limit, beforeId) {
      let query = sql.selectFrom("gateway_usage_record").selectAll().where("project_id", "=", projectId);
      if (beforeId !== undefined) query = query.where("id", "<", beforeId);
      const rows = await query.orderBy("id", "desc").limit(limit).execute();
      return rows.map(recordOf);
    },
  };
}

type Row = GatewaySchema["gateway_usage_record"];

/** In the order in which `rowOf` writes them, since that is the order of a statement's parameters. */
const COLUMNS: readonly (keyof Row)[] = ["id", "request_id", "project_id", "api_key", "model", "model_version", "operation", "unit", "unit_count", "outcome", "size_bytes", "duration_us", "time"];

function rowOf(record: UsageRecord): Row {
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
