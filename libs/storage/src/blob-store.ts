import { createHash, randomUUID } from "node:crypto";
import { createReadStream, type Dirent } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StatusError } from "@servable/errors";

/** What the writer expects of the bytes. */
export interface BlobExpectation {
  /** 64 hexadecimal digits. */
  readonly sha256?: string | undefined;
  readonly sizeBytes?: number | undefined;
  /** Largest blob taken. */
  readonly bytesMax?: number | undefined;
}

/** A stored blob. */
export interface BlobInfo {
  /** 64 hexadecimal digits: its name. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Immutable bytes named by their SHA-256. */
export interface BlobStore {
  /**
   * Stores bytes durably; nothing is visible before all are there and checked, nothing is left when they are refused.
   *
   * @throws StatusError `ARTIFACT_DIGEST_MISMATCH`, `ARTIFACT_TOO_LARGE`, `DISK_FULL`
   */
  put(chunks: AsyncIterable<Uint8Array>, expected?: BlobExpectation): Promise<BlobInfo>;
  /**
   * Streams a blob; a whole read (offset 0) is checked against the digest.
   *
   * @throws StatusError `ARTIFACT_NOT_FOUND`, `ARTIFACT_CORRUPT`
   */
  read(sha256: string, options?: { offsetBytes?: number }): AsyncIterable<Uint8Array>;
  /** Size in bytes, or undefined when there is no such blob. */
  sizeOf(sha256: string): Promise<number | undefined>;
  /** Path of a blob on this machine, for readers that map files. */
  path(sha256: string): string;
  /** Removes a blob; one that is not there is fine. */
  delete(sha256: string): Promise<void>;
}

/** A store in a folder: `ab/abcdef…`, written to `tmp/` first. Unfinished files of an earlier process are removed. */
export async function openFileBlobStore(directory: string): Promise<BlobStore> {
  const temporary = join(directory, "tmp");
  await mkdir(temporary, { recursive: true });
  for (const entry of await readdir(temporary, { withFileTypes: true })) await removeStale(temporary, entry);

  const pathOf = (sha256: string): string => {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new StatusError("ARTIFACT_NOT_FOUND", `"${sha256}" is no SHA-256`);
    return join(directory, sha256.slice(0, 2), sha256);
  };
  const sizeOf = async (sha256: string): Promise<number | undefined> =>
    stat(pathOf(sha256)).then(
      ({ size }) => size,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      },
    );
  return {
    path: pathOf,
    sizeOf,
    delete: (sha256) => rm(pathOf(sha256), { force: true }),
    async put(chunks, expected = {}) {
      const path = join(temporary, `${process.pid}-${randomUUID()}`);
      const hash = createHash("sha256");
      let sizeBytes = 0;
      try {
        const file = await open(path, "wx", 0o600);
        try {
          for await (const chunk of chunks) {
            sizeBytes += chunk.length;
            if (expected.bytesMax !== undefined && sizeBytes > expected.bytesMax) {
              throw new StatusError("ARTIFACT_TOO_LARGE", `the file is larger than the limit of ${expected.bytesMax} bytes: upload a smaller one`);
            }
            hash.update(chunk);
            await file.writeFile(chunk);
          }
          await file.sync();
        } finally {
          await file.close();
        }
        const sha256 = hash.digest("hex");
        check({ sha256, sizeBytes }, expected);
        await publish(path, pathOf(sha256));
        return { sha256, sizeBytes };
      } catch (error) {
        await rm(path, { force: true });
        throw error instanceof StatusError ? error : StatusError.from(error);
      }
    },
    async *read(sha256, { offsetBytes = 0 } = {}) {
      const size = await sizeOf(sha256);
      if (size === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", `there is no blob ${sha256}`);
      if (offsetBytes < 0 || offsetBytes > size) throw new StatusError("OFFSET_OUT_OF_RANGE", `offset ${offsetBytes} is outside of 0 to ${size}`);
      const hash = offsetBytes === 0 ? createHash("sha256") : undefined;
      for await (const chunk of createReadStream(pathOf(sha256), { start: offsetBytes, highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
        hash?.update(chunk);
        yield chunk;
      }
      if (hash !== undefined && hash.digest("hex") !== sha256) {
        throw new StatusError("ARTIFACT_CORRUPT", `the stored bytes no longer have the digest ${sha256}: restore the blob or upload it again`);
      }
    },
  };
}

function check(got: BlobInfo, expected: BlobExpectation): void {
  if (expected.sizeBytes !== undefined && expected.sizeBytes !== got.sizeBytes) {
    throw new StatusError("ARTIFACT_DIGEST_MISMATCH", `${got.sizeBytes} bytes came, ${expected.sizeBytes} were stated: upload again; nothing was kept`);
  }
  if (expected.sha256 !== undefined && expected.sha256.toLowerCase() !== got.sha256) {
    throw new StatusError("ARTIFACT_DIGEST_MISMATCH", `the bytes have the SHA-256 ${got.sha256}, ${expected.sha256} was stated: upload again; nothing was kept`);
  }
}

/** After this the blob survives a power loss: the name is in the folder, and the folder is on disk. */
async function publish(from: string, to: string): Promise<void> {
  const folder = dirname(to);
  await mkdir(folder, { recursive: true });
  await rename(from, to);
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Files of processes that are gone; another service may be writing right now. */
async function removeStale(temporary: string, entry: Dirent): Promise<void> {
  const pid = Number(entry.name.split("-")[0]);
  try {
    process.kill(pid, 0);
  } catch {
    await rm(join(temporary, entry.name), { force: true });
  }
}
