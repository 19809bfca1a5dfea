// What a load call brings along: a configuration, and files of versions. The words are those that stock clients look for.

import { StatusError } from "@servable/errors";

/** A load's parameter as it stands on the wire. */
export interface LoadParameter {
  readonly case?: "boolParam" | "int64Param" | "stringParam" | "bytesParam" | undefined;
  readonly value?: unknown;
}

/** Files of one version by their path in it. */
export interface VersionFiles {
  /** What the caller calls the version. */
  readonly number: number;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** What a load is to put in the place of what is stored. */
export interface LoadOverrides {
  /** ModelConfig as JSON. */
  readonly configJson: string | undefined;
  /** New versions, ascending; none = those that are there. */
  readonly versions: readonly VersionFiles[];
}

const FILE_PREFIX = "file:";
/** Longest part of a path, as file systems have it. */
const PATH_PART_BYTES_MAX = 255;
/** Files of one load. */
const FILES_MAX = 1_000;

/** Reads the parameters of a load. @throws StatusError `FIELD_INVALID`, `INTERNAL` for paths that no file system takes; all begin with "failed to load" */
export function readLoadOverrides(model: string, parameters: Iterable<readonly [string, LoadParameter]>): LoadOverrides {
  let configJson: string | undefined;
  const versions = new Map<number, Map<string, Uint8Array>>();
  const shared = new Map<string, Uint8Array>();
  for (const [key, parameter] of parameters) {
    if (key === "config") configJson = readConfig(model, parameter);
    else if (key.startsWith(FILE_PREFIX)) {
      const { version, path } = readPath(model, key.slice(FILE_PREFIX.length));
      const target = version === undefined ? shared : (versions.get(version) ?? new Map<string, Uint8Array>());
      if (version !== undefined) versions.set(version, target);
      if (!(parameter.value instanceof Uint8Array)) throw refused(model, `the parameter '${key}' must be bytes_param`, key);
      target.set(path, parameter.value);
    } else throw refused(model, `unrecognized parameter '${key}': a load takes config and file:<version>/<file name>`, key);
  }
  const fileCount = [shared, ...versions.values()].reduce((sum, files) => sum + files.size, 0);
  if (fileCount > FILES_MAX) throw refused(model, `${fileCount} files: a load may bring ${FILES_MAX}`, "parameters");
  if (fileCount > 0 && configJson === undefined) throw refused(model, "failed to poll from model repository: override files are provided without a model configuration, send the parameter config too", "config");
  if (shared.size > 0 && versions.size === 0) throw refused(model, "there are files, but none of a version: name them file:<version>/<file name>", "parameters");
  const numbers = [...versions.keys()].sort((a, b) => a - b);
  // What lies beside the versions, such as labels, belongs to each of them.
  return { configJson, versions: numbers.map((number) => ({ number, files: new Map([...shared, ...(versions.get(number) ?? [])]) })) };
}

function readConfig(model: string, { case: kind, value }: LoadParameter): string {
  if (kind === "stringParam" && typeof value === "string" && isJsonObject(value)) return value;
  throw refused(model, "the parameter config must be ModelConfig as JSON text", "config");
}

function readPath(model: string, path: string): { version: number | undefined; path: string } {
  const parts = path.split("/");
  if (parts.some((part) => Buffer.byteLength(part) > PATH_PART_BYTES_MAX)) {
    throw new StatusError("INTERNAL", `failed to load '${model}', failed to poll from model repository: a path part of 'file:${path.slice(0, 40)}…' is longer than ${PATH_PART_BYTES_MAX} bytes`);
  }
  if (parts.some((part) => part === "" || part === "." || part === ".." || part.includes("\0"))) throw refused(model, `'file:${path}' is no path of a file within the model`, "parameters");
  const [first = "", ...rest] = parts;
  if (rest.length === 0 || !/^[1-9]\d{0,14}$/.test(first)) return { version: undefined, path };
  return { version: Number(first), path: rest.join("/") };
}

function refused(model: string, problem: string, field: string): StatusError {
  return new StatusError("FIELD_INVALID", `failed to load '${model}', ${problem}`, { metadata: { field: `parameters.${field}` } });
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
