import { gunzipSync } from "node:zlib";
import { malformed } from "./malformed.ts";

/** An array of unsigned bytes with its shape. */
export interface ByteArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Decompressed bytes no file may exceed. */
const UNPACKED_BYTES_MAX = 4 * 1024 ** 3;
const UNSIGNED_BYTE = 0x08;

/**
 * Reads an IDX file of unsigned bytes, plain or gzip: two zero bytes, type, rank, sizes (big-endian u32), elements.
 *
 * @throws StatusError `DATASET_MALFORMED`
 */
export function readIdx(role: string, file: Uint8Array): ByteArray {
  const bytes = unpack(role, file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0) throw malformed(role, "the file does not begin like an IDX file (two zero bytes)");
  if (bytes[2] !== UNSIGNED_BYTE) throw malformed(role, `element type 0x${bytes[2]?.toString(16)} is not read; unsigned bytes (0x8) are`);
  const rank = bytes[3] ?? 0;
  const offset = 4 + 4 * rank;
  if (rank === 0 || bytes.length < offset) throw malformed(role, "the header is cut off");
  const shape = Array.from({ length: rank }, (_, index) => view.getUint32(4 + 4 * index));
  const count = shape.reduce((product, size) => product * size, 1);
  if (bytes.length - offset !== count) throw malformed(role, `the header states ${count} elements ([${shape.join(", ")}]), ${bytes.length - offset} follow`);
  return { shape, data: bytes.subarray(offset) };
}

/** Undoes gzip where the bytes say so. */
export function unpack(role: string, bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: UNPACKED_BYTES_MAX });
  } catch (error) {
    throw malformed(role, `the gzip data cannot be read (${(error as Error).message})`);
  }
}
