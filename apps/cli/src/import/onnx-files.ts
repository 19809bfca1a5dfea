import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ImportedFile } from "@servable/client";
import { StatusError } from "@servable/errors";
import { externalDataOf, isExternal, readModel } from "@servable/onnx";
import { MANIFEST_FILE, filesOf, readTaskManifest } from "@servable/preprocessing";

/** Beyond this a file is no single ONNX message, and says so itself when it is uploaded. */
const MODEL_BYTES_MAX = 2 * 1024 ** 3;

/** What goes with a model that does not lie beside it. */
export interface OtherFiles {
  /** A manifest elsewhere, under whatever name; false = none, even where one lies beside the model. */
  readonly manifest?: string | false | undefined;
  /** More files, by path; within the version they have their last name. */
  readonly others?: readonly string[] | undefined;
}

/**
 * An ONNX file with what belongs to it: weights in files of their own, `servable.yaml` and the files which that names.
 * Those are looked for among the others, beside the manifest and beside the model.
 *
 * @throws StatusError `FIELD_INVALID` naming a file that is missing, `TASK_MANIFEST_INVALID` naming the manifest's field
 */
export function onnxFiles(file: string, { manifest, others = [] }: OtherFiles = {}): ImportedFile[] {
  const folder = dirname(file);
  const files = new Map([["model.onnx", file], ...others.map((other): [string, string] => [basename(other), present(other, "--with")])]);
  for (const path of weightFiles(file)) files.set(path, present(join(folder, path), file));
  const manifestFile = manifest === false ? undefined : (manifest ?? (existsSync(join(folder, MANIFEST_FILE)) ? join(folder, MANIFEST_FILE) : undefined));
  if (manifestFile !== undefined) {
    files.set(MANIFEST_FILE, present(manifestFile, "--manifest"));
    for (const path of filesOf(readTaskManifest(readFileSync(manifestFile, "utf8")))) {
      if (files.has(path)) continue;
      const places = [join(dirname(manifestFile), path), join(folder, path)];
      files.set(path, places.find((place) => existsSync(place)) ?? present(places[0] as string, manifestFile));
    }
  }
  return [...files].map(([path, source]) => ({ path, file: source }));
}

function present(file: string, owner: string): string {
  if (existsSync(file)) return file;
  throw new StatusError("FIELD_INVALID", `there is no file ${file}, which ${owner} names`, { metadata: { field: "file" } });
}

/** What cannot be read here is left to the registry, whose verdict counts. */
function weightFiles(file: string): string[] {
  if (!existsSync(file) || !statSync(file).isFile() || statSync(file).size > MODEL_BYTES_MAX) return [];
  try {
    const initializers = readModel(readFileSync(file)).graph?.initializer ?? [];
    const locations = initializers.filter(isExternal).map((tensor) => externalDataOf(tensor)?.location ?? "");
    // A path that leaves the folder is refused by the registry, and is none of our files.
    return locations.filter((path) => path !== "" && !path.startsWith("/") && !path.split("/").includes(".."));
  } catch {
    return [];
  }
}
