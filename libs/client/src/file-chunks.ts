import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { StatusError } from "@servable/errors";

/** The contract's bound for one message of an upload. */
const CHUNK_BYTES = 1024 * 1024;

/** Digest and size of a file. */
export interface FileDigest {
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Digest and size of a file. @throws StatusError `FIELD_INVALID` when it cannot be read */
export async function digestOf(path: string): Promise<FileDigest> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of fileChunks(path)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

/** A file's bytes in pieces that fit one message; memory stays at one piece. @throws StatusError `FIELD_INVALID` when it cannot be read */
export async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    if (!(await stat(path)).isFile()) throw new StatusError("FIELD_INVALID", `${path} is not a file`, { metadata: { field: "file" } });
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new StatusError("FIELD_INVALID", code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read: ${message}`, { metadata: { field: "file" }, cause: error });
  }
}
