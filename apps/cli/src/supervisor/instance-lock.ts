import { DatabaseSync } from "node:sqlite";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";

// Two platforms on one data directory would both restart crashed work and both answer for the same jobs. A file with a
// process id in it cannot tell a crash from a run; a lock of the operating system can, because it ends with the process
// that holds it, kill -9 included. Node has no flock, but SQLite has: an exclusive transaction that is never committed.

const LOCK_FILE = "platform.lock";
const INFO_FILE = "platform.json";

/** Where the platform of a data directory can be reached. */
export interface PlatformInfo {
  readonly pid: number;
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly metricsAddress: string;
}

/** Held for the life of a platform. */
export interface InstanceLock extends Disposable {
  /** Tells the command line where the platform is. */
  announce(info: PlatformInfo): void;
}

/** Takes a data directory for this process. @throws StatusError `DATA_DIR_IN_USE` */
export function lockInstance(dataDir: string): InstanceLock {
  const database = new DatabaseSync(join(dataDir, LOCK_FILE));
  try {
    database.exec("begin exclusive");
  } catch (error) {
    database.close();
    const pid = readPlatformInfo(dataDir)?.pid;
    throw new StatusError("DATA_DIR_IN_USE", `a platform${pid === undefined ? "" : ` (process ${pid})`} already runs on ${dataDir}: stop it first, or choose another folder by --data-dir or SERVABLE_DATA_DIR`, { metadata: { variable: "SERVABLE_DATA_DIR" }, cause: error });
  }
  const info = join(dataDir, INFO_FILE);
  return {
    announce: (platform) => writeFileSync(info, JSON.stringify(platform) + "\n", { mode: 0o600 }),
    [Symbol.dispose]: () => {
      rmSync(info, { force: true });
      database.close();
    },
  };
}

/** The platform that runs on a data directory; undefined when none does. */
export function readPlatformInfo(dataDir: string): PlatformInfo | undefined {
  try {
    const info = JSON.parse(readFileSync(join(dataDir, INFO_FILE), "utf8")) as PlatformInfo;
    process.kill(info.pid, 0);
    return info;
  } catch {
    // No file, or the process it names is gone: there is no platform, which is all that the caller asks.
    return undefined;
  }
}
