import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ImportedFile } from "@servable/client";
import { StatusError } from "@servable/errors";
import { externalDataOf, isExternal, readModel } from "@servable/onnx";
import { MANIFEST_FILE, filesOf, readTaskManifest } from "@servable/preprocessing";

/** Beyond this a file is no single ONNX message, and says so itself when it is uploaded. */
const MODEL_BYTES_MAX = 2 * 1024 ** 3;

/**
 * An ONNX file with what belongs to it: weights in files of their own, `servable.yaml` beside it and the files which that
 * names.
 *
 * @throws StatusError `FIELD_INVALID` naming a file that is missing, and what is wrong with the manifest
 */
export function onnxFiles(file: string): ImportedFile[] {
  const folder = dirname(file);
  const beside = [...weightFiles(file), ...manifestFiles(folder)];
  for (const [path, owner] of beside) {
    if (!existsSync(join(folder, path))) throw new StatusError("FIELD_INVALID", `there is no file ${join(folder, path)}, which ${owner} names`, { metadata: { field: "file" } });
  }
  return [{ path: "model.onnx", file }, ...[...new Map(beside).keys()].map((path) => ({ path, file: join(folder, path) }))];
}

/** What cannot be read here is left to the registry, whose verdict counts. */
function weightFiles(file: string): [path: string, owner: string][] {
  if (!existsSync(file) || !statSync(file).isFile() || statSync(file).size > MODEL_BYTES_MAX) return [];
  try {
    const initializers = readModel(readFileSync(file)).graph?.initializer ?? [];
    const locations = initializers.filter(isExternal).map((tensor) => externalDataOf(tensor)?.location ?? "");
    // A path that leaves the folder is refused by the registry, and is none of our files.
    return locations.filter((path) => path !== "" && !path.startsWith("/") && !path.split("/").includes("..")).map((path) => [path, file]);
  } catch {
    return [];
  }
}

function manifestFiles(folder: string): [path: string, owner: string][] {
  const manifest = join(folder, MANIFEST_FILE);
  if (!existsSync(manifest)) return [];
  return [[MANIFEST_FILE, manifest], ...filesOf(readTaskManifest(readFileSync(manifest, "utf8"))).map((path): [string, string] => [path, manifest])];
}
