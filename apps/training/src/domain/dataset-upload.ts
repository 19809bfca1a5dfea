import { StatusError } from "@servable/errors";
import type { BlobStore } from "@servable/storage";
import type { DatasetFileRecord, DatasetFormat } from "./records.ts";

/** The files that each format consists of. */
const ROLES: Readonly<Record<DatasetFormat, readonly string[]>> = {
  csv: ["data"],
  idx: ["images", "labels"],
  npy: ["images", "labels"],
  jsonl: ["data"],
  parquet: ["data"],
  npz: ["data"],
  image_zip: ["data"],
  text: ["data"],
  chat: ["data"],
};

/** One file of an upload; its chunks must be read to the end before the next file is asked for. */
export interface IncomingFile {
  readonly role: string;
  /** As the sender states it; empty = not checked. */
  readonly sha256: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Stores the files of an upload; `files` holds those that are stored, also when a later one fails.
 *
 * @throws StatusError `FIELD_INVALID`, `FIELD_REQUIRED`, `DATASET_TOO_LARGE`, `ARTIFACT_DIGEST_MISMATCH`
 */
export async function receiveFiles(format: DatasetFormat, incoming: AsyncIterable<IncomingFile>, { blobs, datasetBytesMax }: { blobs: BlobStore; datasetBytesMax: number }, files: DatasetFileRecord[]): Promise<void> {
  const roles = ROLES[format];
  let bytes = 0;
  const counted = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > datasetBytesMax) {
        throw new StatusError("DATASET_TOO_LARGE", `the files are larger than ${datasetBytesMax} bytes: upload less, or raise SERVABLE_DATASET_BYTES_MAX`, { metadata: { limit: "SERVABLE_DATASET_BYTES_MAX" } });
      }
      yield chunk;
    }
  };
  for await (const { role, sha256, chunks } of incoming) {
    if (!roles.includes(role)) throw invalid("file.role", `"${role}" is no file of this format: it has ${quoted(roles)}`);
    if (files.some((file) => file.role === role)) throw invalid("file.role", `"${role}" was sent twice`);
    if (sha256 !== "" && !/^[0-9a-fA-F]{64}$/.test(sha256)) throw invalid("file.sha256", "must be 64 hexadecimal digits");
    const stored = await blobs.put(counted(chunks), { sha256: sha256 === "" ? undefined : sha256 });
    files.push({ role, ...stored });
  }
  const missing = roles.filter((role) => !files.some((file) => file.role === role));
  if (missing.length > 0) throw new StatusError("FIELD_REQUIRED", `file: ${quoted(missing)} did not come; this format consists of ${quoted(roles)}`, { metadata: { field: "file" } });
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${problem}`, { metadata: { field } });
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(" and ");
}
