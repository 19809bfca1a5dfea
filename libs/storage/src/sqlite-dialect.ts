// kysely speaks to SQLite through the small interface of better-sqlite3; node:sqlite is shaped alike. This file is the
// difference: parameters that node:sqlite refuses, and transactions that take the write lock when they begin.

import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { SqliteAdapter, SqliteDialect, type DialectAdapter, type SqliteDatabase, type SqliteStatement } from "kysely";

/** How long SQLite itself waits for a lock: short, since it blocks the event loop; `withMappedErrors` waits on without. */
const BUSY_TIMEOUT_MS = 20;

/** Opens (and creates) a SQLite file as a kysely dialect: write-ahead log, an fsync for each commit. */
export function nodeSqliteDialect(path: string): SqliteDialect {
  return new LockingDialect({ database: async () => open(path) });
}

class LockingDialect extends SqliteDialect {
  override createAdapter(): DialectAdapter {
    return new TransactionalDdlAdapter();
  }
}

/** SQLite can change its schema inside a transaction; then several processes may open a new file at once. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function open(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;");
  return {
    close: () => database.close(),
    prepare(sql): SqliteStatement {
      // A deferred transaction that reads first and writes later fails at once when another wrote in between.
      const statement = database.prepare(/^begin$/i.test(sql.trim()) ? "begin immediate" : sql);
      const reader = statement.columns().length > 0;
      return {
        reader,
        all: (parameters) => statement.all(...parameters.map(toSqlite)),
        run: (parameters) => {
          const { changes, lastInsertRowid } = statement.run(...parameters.map(toSqlite));
          return { changes, lastInsertRowid };
        },
        iterate: (parameters) => statement.iterate(...parameters.map(toSqlite)) as IterableIterator<unknown>,
      };
    },
  };
}

function toSqlite(value: unknown): SQLInputValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof Date) return value.getTime();
  if (value === undefined) return null;
  // An object as first parameter would be taken for named parameters.
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) return JSON.stringify(value);
  return value as SQLInputValue;
}
