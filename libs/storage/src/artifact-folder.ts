import { constants, copyFile, link, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StatusError } from "@servable/errors";
import type { BlobStore } from "./blob-store.ts";

/** A file of a version: where it belongs and which bytes it has. */
export interface FolderArtifact {
  /** Relative, with "/" between the parts. */
  readonly path: string;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Lays blobs out as the files they are: hard links, so that nothing is copied and all readers share one page cache; copies
 * where the folder is on another device. Files must not be written to afterwards.
 *
 * @throws StatusError `FIELD_INVALID` for a path that leaves the folder or lies below another file, `ARTIFACT_NOT_FOUND` for a blob that is not there
 */
export async function linkArtifacts(folder: string, artifacts: readonly FolderArtifact[], blobs: BlobStore): Promise<void> {
  await mkdir(folder, { recursive: true });
  const paths = new Set(artifacts.map(({ path }) => checkArtifactPath(path)));
  for (const path of paths) {
    for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
      if (paths.has(path.slice(0, at))) throw pathInvalid(path, `lies below the file "${path.slice(0, at)}"`);
    }
  }
  for (const { path, sha256 } of artifacts) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await linkOrCopy(blobs.path(sha256), target);
  }
}

/** Refuses whatever is no plain relative path. @throws StatusError `FIELD_INVALID` */
export function checkArtifactPath(path: string): string {
  const parts = path.split("/");
  if (path === "" || parts.some((part) => part === "" || part === "." || part === "..") || /[\\\0:]/.test(path)) throw pathInvalid(path, "is no relative path inside the version");
  return path;
}

/** A hard link, or a copy where links cannot be made. @throws StatusError `ARTIFACT_NOT_FOUND` */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new StatusError("ARTIFACT_NOT_FOUND", `there is no ${from}`, { cause: error });
    // Other device, too many links, or a file system without links.
    if (code === undefined || !["EXDEV", "EMLINK", "EPERM", "ENOTSUP", "ENOSYS", "EACCES"].includes(code)) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

function pathInvalid(path: string, why: string): StatusError {
  return new StatusError("FIELD_INVALID", `the artifact "${path.slice(0, 80)}" ${why}`, { metadata: { field: "path" } });
}
