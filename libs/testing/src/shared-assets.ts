import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = process.env["SERVABLE_SHARED_DIR"] ?? resolve(import.meta.dirname, "../../../../shared");

/** Path of a file of the shared real models and data, or undefined where the machine has none. */
export function sharedAsset(path: string): string | undefined {
  const file = join(ROOT, path);
  return existsSync(file) ? file : undefined;
}

/** Why a test that needs a shared file is skipped, or false when it can run: for `{ skip: … }`. */
export function skipWithout(...paths: string[]): string | false {
  const missing = paths.find((path) => sharedAsset(path) === undefined);
  return missing === undefined ? false : `shared/${missing} is not on this machine (SERVABLE_SHARED_DIR says where it is)`;
}
