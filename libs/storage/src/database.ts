import { StatusError } from "@servable/errors";
import { Kysely, PostgresDialect, sql } from "kysely";
import { Migrator, type Migration } from "kysely/migration";
import pg from "pg";
import { withMappedErrors } from "./error-mapping.ts";
import { nodeSqliteDialect } from "./sqlite-dialect.ts";

/** Connections of one service to PostgreSQL. */
const POOL_CONNECTIONS_MAX = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const INT8_OID = 20;

/** What to open. */
export interface DatabaseOptions {
  /** "sqlite:/path/file.db" or "postgres://…". */
  readonly url: string;
  /** Begin of the names of the migration tables, so that services can share one database. */
  readonly namespace: string;
  /** The schema's history by name; names sort in order of age and never change. */
  readonly migrations: Readonly<Record<string, Migration>>;
}

/** An open database with its schema up to date. */
export interface Database<Schema> extends AsyncDisposable {
  readonly sql: Kysely<Schema>;
  readonly dialect: "sqlite" | "postgres";
}

/**
 * Opens a database and brings its schema up to date; several processes may do so at once.
 *
 * @throws StatusError `DATA_DIR_NEWER` when a newer Servable wrote it, `DATABASE_UNAVAILABLE` when it cannot be reached,
 * `CONFIG_INVALID` for another kind of URL
 */
export async function openDatabase<Schema>({ url, namespace, migrations }: DatabaseOptions): Promise<Database<Schema>> {
  const dialect = url.startsWith("sqlite:") ? "sqlite" : /^postgres(ql)?:/.test(url) ? "postgres" : undefined;
  if (dialect === undefined) {
    throw new StatusError("CONFIG_INVALID", "SERVABLE_DATABASE_URL must begin with postgres:// (or be unset for embedded storage)", { metadata: { variable: "SERVABLE_DATABASE_URL" } });
  }
  const database = new Kysely<Schema>({ dialect: withMappedErrors(dialect === "sqlite" ? nodeSqliteDialect(url.slice("sqlite:".length)) : postgresDialect(url)) });
  try {
    await migrate(database as Kysely<unknown>, namespace, migrations);
  } catch (error) {
    await database.destroy();
    throw error;
  }
  return { sql: database, dialect, [Symbol.asyncDispose]: () => database.destroy() };
}

function postgresDialect(url: string): PostgresDialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: {
      // Counters and milliseconds stay far below 2^53; text would only have to be parsed everywhere.
      getTypeParser: ((oid: number, format: "text") => (oid === INT8_OID ? Number : (pg.types.getTypeParser(oid, format) as unknown))) as typeof pg.types.getTypeParser,
    },
  });
  // An idle connection that breaks is replaced by the next query; without a listener it would end the process.
  pool.on("error", () => {});
  return new PostgresDialect({ pool });
}

async function migrate(database: Kysely<unknown>, namespace: string, migrations: Readonly<Record<string, Migration>>): Promise<void> {
  const table = `${namespace}_migration`;
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableName: table,
    migrationLockTableName: `${table}_lock`,
  });
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(table)}`.execute(database).catch((error: unknown) => {
    if (error instanceof StatusError) throw error;
    return { rows: [] }; // The table comes with the first migration.
  });
  const newer = rows.find(({ name }) => !(name in migrations));
  if (newer !== undefined) {
    throw new StatusError("DATA_DIR_NEWER", `the ${namespace} database was written by a newer Servable (it has "${newer.name}"): run that version, or choose another SERVABLE_DATA_DIR or SERVABLE_DATABASE_URL`);
  }
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error instanceof Error ? error : new Error("migration failed", { cause: error });
}
