import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import type { VersionFile } from "./triton-model.ts";

/** Files of one model, over all versions; a folder of more is no model repository. */
const FILES_MAX = 10_000;
const DEPTH_MAX = 8;

/** A version's folder: a number that does not begin with 0, as Triton has it. */
export function isVersionFolder(name: string): boolean {
  return /^[1-9]\d{0,15}$/.test(name);
}

/** All files below a folder, by path; hidden ones are left out. @throws StatusError `FIELD_INVALID` for too many or too deep ones */
export async function filesBelow(folder: string, skip: (name: string) => boolean = () => false): Promise<VersionFile[]> {
  const files: VersionFile[] = [];
  const visit = async (directory: string, prefix: string, depth: number): Promise<void> => {
    if (depth > DEPTH_MAX) throw new StatusError("FIELD_INVALID", `${folder} has folders more than ${DEPTH_MAX} deep`, { metadata: { field: "folder" } });
    for (const name of (await readdir(directory)).sort()) {
      if (name.startsWith(".") || (prefix === "" && skip(name))) continue;
      const source = join(directory, name);
      // Repositories are often trees of links into other storage: links are followed.
      const info = await stat(source);
      if (info.isDirectory()) await visit(source, `${prefix}${name}/`, depth + 1);
      else if (info.isFile()) files.push({ path: `${prefix}${name}`, source, sizeBytes: info.size });
      if (files.length > FILES_MAX) throw new StatusError("FIELD_INVALID", `${folder} has more than ${FILES_MAX} files`, { metadata: { field: "folder" } });
    }
  };
  await visit(folder, "", 0);
  return files;
}

/** Paths that an artifact can have. */
export function isArtifactPath(path: string): boolean {
  return /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(path) && path.length <= 200;
}
