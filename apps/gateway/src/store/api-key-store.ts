import type { Role } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { isUniqueViolation, type Database } from "@servable/storage";
import type { GatewaySchema } from "./schema.ts";

/** A key without its secret. */
export interface ApiKey {
  readonly projectId: string;
  readonly id: string;
  /** SHA-256 of the secret, hexadecimal. */
  readonly hash: string;
  /** The first characters of the secret. */
  readonly prefix: string;
  readonly role: Role;
  readonly displayName: string;
  readonly createTimeMs: number;
  /** undefined = never. */
  readonly expireTimeMs: number | undefined;
  /** undefined = never used. */
  readonly lastUseTimeMs: number | undefined;
}

/** API keys in SQL; revoked keys are found by nothing. */
export interface ApiKeyStore {
  /** @throws StatusError `ALREADY_EXISTS` for an id or secret that was ever used */
  create(key: ApiKey): Promise<ApiKey>;
  /**
   * Makes a key that the operator chose work: creates it, or gives the one of that id the new secret. A key that was
   * revoked and comes again with the same secret stays revoked; then the answer is false.
   */
  ensure(key: ApiKey): Promise<boolean>;
  findByHash(hash: string): Promise<ApiKey | undefined>;
  /** @throws StatusError `API_KEY_NOT_FOUND` */
  get(projectId: string, id: string): Promise<ApiKey>;
  /** Up to `limit` keys of a project by id, those after `afterId`. */
  list(projectId: string, limit: number, afterId?: string): Promise<ApiKey[]>;
  /** @throws StatusError `API_KEY_NOT_FOUND` */
  revoke(projectId: string, id: string, timeMs: number): Promise<void>;
  /** Notes the last use. */
  touch(projectId: string, id: string, timeMs: number): Promise<void>;
}

/** API keys in the gateway's database. */
export function createApiKeyStore({ sql }: Database<GatewaySchema>): ApiKeyStore {
  const living = () => sql.selectFrom("gateway_api_key").selectAll().where("delete_time", "is", null);
  return {
    async create(key) {
      try {
        await sql.insertInto("gateway_api_key").values(rowOf(key)).execute();
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new StatusError("ALREADY_EXISTS", `the key ${key.id} exists: list the keys of projects/${key.projectId}`, { cause: error });
      }
      return key;
    },
    async ensure(key) {
      const stored = await sql.selectFrom("gateway_api_key").selectAll().where("project_id", "=", key.projectId).where("id", "=", key.id).executeTakeFirst();
      if (stored?.hash.trim() === key.hash) return stored.delete_time === null;
      const { hash, prefix, role } = key;
      await sql
        .insertInto("gateway_api_key")
        .values(rowOf(key))
        .onConflict((conflict) => conflict.columns(["project_id", "id"]).doUpdateSet({ hash, prefix, role, delete_time: null }))
        .execute();
      return true;
    },
    async findByHash(hash) {
      const row = await living().where("hash", "=", hash).executeTakeFirst();
      return row && keyOf(row);
    },
    async get(projectId, id) {
      const row = await living().where("project_id", "=", projectId).where("id", "=", id).executeTakeFirst();
      if (row === undefined) throw notFound(projectId, id);
      return keyOf(row);
    },
    async list(projectId, limit, afterId = "") {
      const rows = await living().where("project_id", "=", projectId).where("id", ">", afterId).orderBy("id").limit(limit).execute();
      return rows.map(keyOf);
    },
    async revoke(projectId, id, timeMs) {
      const { numUpdatedRows } = await sql.updateTable("gateway_api_key").set({ delete_time: timeMs }).where("project_id", "=", projectId).where("id", "=", id).where("delete_time", "is", null).executeTakeFirst();
      if (numUpdatedRows === 0n) throw notFound(projectId, id);
    },
    async touch(projectId, id, timeMs) {
      await sql.updateTable("gateway_api_key").set({ last_use_time: timeMs }).where("project_id", "=", projectId).where("id", "=", id).execute();
    },
  };
}

function notFound(projectId: string, id: string): StatusError {
  return new StatusError("API_KEY_NOT_FOUND", `there is no projects/${projectId}/apiKeys/${id}: list the keys of the project`, { metadata: { apiKey: id } });
}

function rowOf(key: ApiKey): GatewaySchema["gateway_api_key"] {
  return {
    project_id: key.projectId,
    id: key.id,
    hash: key.hash,
    prefix: key.prefix,
    role: key.role,
    display_name: key.displayName,
    create_time: key.createTimeMs,
    expire_time: key.expireTimeMs ?? null,
    last_use_time: key.lastUseTimeMs ?? null,
    delete_time: null,
  };
}

function keyOf(row: GatewaySchema["gateway_api_key"]): ApiKey {
  return {
    projectId: row.project_id,
    id: row.id,
    hash: row.hash,
    prefix: row.prefix,
    role: row.role as Role,
    displayName: row.display_name,
    createTimeMs: row.create_time,
    expireTimeMs: row.expire_time ?? undefined,
    lastUseTimeMs: row.last_use_time ?? undefined,
  };
}
