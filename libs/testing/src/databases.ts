import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startPostgres, type TestPostgres } from "./postgres.ts";
import { tempDir } from "./temp-dir.ts";

/** One of the databases that every store must run on. */
export interface TestDatabase {
  readonly name: "SQLite" | "PostgreSQL";
  /** Why it cannot run here, or false: for `{ skip }`. */
  readonly skip: string | false;
  /** URL of a new, empty database. */
  freshUrl(): Promise<string>;
}

/** Both databases, for `for (const database of databases)`; call `stop` after the tests. */
export async function testDatabases(): Promise<{ databases: readonly TestDatabase[]; stop: () => Promise<void> }> {
  const directory = tempDir();
  const postgres: TestPostgres | string = await startPostgres();
  const id = (): string => `t${randomBytes(6).toString("hex")}`;
  return {
    databases: [
      { name: "SQLite", skip: false, freshUrl: async () => `sqlite:${join(directory.path, `${id()}.db`)}` },
      {
        name: "PostgreSQL",
        skip: typeof postgres === "string" ? postgres : false,
        freshUrl: async () => (typeof postgres === "string" ? Promise.reject(new Error(postgres)) : postgres.url(id())),
      },
    ],
    stop: async () => {
      if (typeof postgres !== "string") await postgres[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}
