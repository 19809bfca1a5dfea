import { setTimeout as delay } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { DatabaseConnection, Dialect, Driver } from "kysely";

const CONNECTION_ERRORS = new Set(["ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "57P01", "57P02", "57P03", "08006", "08001", "53300"]);

/** SQLite's SQLITE_BUSY: another connection holds the lock, nothing was done. */
const SQLITE_BUSY = 5;
const BUSY_PATIENCE_MS = 10_000;
const BUSY_DELAY_MS = 10;

/** The same dialect, whose connection failures are DATABASE_UNAVAILABLE and whose full disk is DISK_FULL. */
export function withMappedErrors(dialect: Dialect): Dialect {
  return {
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createDriver: () => mapDriver(dialect.createDriver()),
  };
}

function mapDriver(driver: Driver): Driver {
  const originals = new WeakMap<DatabaseConnection, DatabaseConnection>();
  const original = (connection: DatabaseConnection): DatabaseConnection => originals.get(connection) ?? connection;
  return {
    init: () => mapped(driver.init()),
    acquireConnection: async () => {
      const connection = await mapped(driver.acquireConnection());
      const wrapper: DatabaseConnection = {
        executeQuery: (query) => mapped(whenFree(() => connection.executeQuery(query))),
        streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
      };
      originals.set(wrapper, connection);
      return wrapper;
    },
    beginTransaction: (connection, settings) => mapped(whenFree(() => driver.beginTransaction(original(connection), settings))),
    commitTransaction: (connection) => mapped(driver.commitTransaction(original(connection))),
    rollbackTransaction: (connection) => mapped(driver.rollbackTransaction(original(connection))),
    releaseConnection: (connection) => driver.releaseConnection(original(connection)),
    destroy: () => driver.destroy(),
  };
}

/** Runs a statement, again while another connection holds SQLite's lock. */
async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  const until = Date.now() + BUSY_PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY || Date.now() > until) throw error;
      await delay(BUSY_DELAY_MS * (0.5 + Math.random()));
    }
  }
}

async function mapped<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, errcode, message } = error as { code?: string; errcode?: number; message?: string };
    if ((code !== undefined && CONNECTION_ERRORS.has(code)) || /Connection terminated|timeout exceeded when trying to connect/.test(message ?? "")) {
      throw new StatusError("DATABASE_UNAVAILABLE", "the database cannot be reached: try again shortly, or check SERVABLE_DATABASE_URL", { cause: error });
    }
    if (errcode === 13 || code === "53100") throw new StatusError("DISK_FULL", "the database has no space left: free some, then try again", { cause: error });
    throw error;
  }
}

/** Whether an insert or update failed because such a row exists. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number };
  return code === "23505" || errcode === 2067 || errcode === 1555;
}
