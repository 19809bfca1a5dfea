import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { StatusError } from "@servable/errors";

/** Grows when older versions could no longer read the folder. */
const FORMAT_VERSION = 1;

/** The folder that holds all state of an embedded installation. */
export interface DataDir {
  /** Absolute path. */
  readonly path: string;
  /** Path of a file in it. */
  file(name: string): string;
}

/**
 * Opens (and creates, readable by its owner only) the data directory.
 *
 * @throws StatusError `DATA_DIR_NEWER` when a newer Servable wrote it, `DATA_DIR_UNUSABLE` when it cannot be written
 */
export function openDataDir(path: string): DataDir {
  const root = resolve(path);
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const marker = join(root, "servable.json");
    createOnce(marker, JSON.stringify({ formatVersion: FORMAT_VERSION }) + "\n");
    const { formatVersion } = JSON.parse(readFileSync(marker, "utf8")) as { formatVersion: number };
    if (formatVersion > FORMAT_VERSION) {
      throw new StatusError("DATA_DIR_NEWER", `${root} has format ${formatVersion}, this version reads up to ${FORMAT_VERSION}: run the newer Servable, or choose another SERVABLE_DATA_DIR`, { metadata: { variable: "SERVABLE_DATA_DIR" } });
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError("DATA_DIR_UNUSABLE", `${root} cannot be used as data directory (${(error as Error).message}): make it writable, or choose another SERVABLE_DATA_DIR`, { metadata: { variable: "SERVABLE_DATA_DIR" }, cause: error });
  }
  return { path: root, file: (name) => join(root, name) };
}

/** The secret in a file, made on first use; of several processes that come at once, all get the same one. */
export function readOrCreateSecret(path: string, make: () => string = () => randomBytes(32).toString("base64url")): string {
  createOnce(path, make() + "\n");
  return readFileSync(path, "utf8").trim();
}

/** Writes a file that is not there yet; readers never see half of it. */
function createOnce(path: string, content: string): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft);
  }
}
