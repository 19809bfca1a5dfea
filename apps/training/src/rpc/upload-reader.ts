import type { UploadDatasetRequest, UploadDatasetRequest_Head } from "@servable/contracts/training/v1/training";
import { StatusError } from "@servable/errors";
import type { IncomingFile } from "../domain/dataset-upload.ts";

/** Largest chunk of an upload. */
const CHUNK_BYTES_MAX = 1024 * 1024;

/**
 * Cuts the stream of an upload into its head and its files. Each file's chunks must be read to the end before the next
 * file is asked for.
 *
 * @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` when messages come in another order
 */
export async function readUpload(requests: AsyncIterable<UploadDatasetRequest>): Promise<{ head: UploadDatasetRequest_Head; files: AsyncIterable<IncomingFile> }> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true || first.value.payload.case !== "head") throw new StatusError("FIELD_REQUIRED", "the first message must be the head", { metadata: { field: "head" } });
  return { head: first.value.payload.value, files: filesOf(messages) };
}

async function* filesOf(messages: AsyncIterator<UploadDatasetRequest>): AsyncGenerator<IncomingFile> {
  let next = await messages.next();
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (next = await messages.next(); next.done !== true && next.value.payload.case === "chunk"; next = await messages.next()) {
      const chunk = next.value.payload.value;
      if (chunk.length > CHUNK_BYTES_MAX) throw new StatusError("FIELD_INVALID", `chunk has ${chunk.length} bytes, at most ${CHUNK_BYTES_MAX} are allowed: send several`, { metadata: { field: "chunk" } });
      yield chunk;
    }
  };
  while (next.done !== true) {
    const { payload } = next.value;
    if (payload.case !== "file") throw new StatusError("FIELD_INVALID", "after the head a file must begin before its chunks, and there is one head only", { metadata: { field: payload.case ?? "payload" } });
    yield { role: payload.value.role, sha256: payload.value.sha256, chunks: chunks() };
  }
}
