import { unpack, type ByteArray } from "./idx.ts";
import { malformed } from "./malformed.ts";

// Source: NEP 1, "A simple file format for NumPy arrays", versions 1.0 to 3.0.

const MAGIC = "\x93NUMPY";

/** An array with elements that are read as numbers. */
export interface NumberArray {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/**
 * Reads a .npy file in C order: unsigned and signed bytes, 16- to 64-bit integers, f4, f8, little-endian.
 *
 * @throws StatusError `DATASET_MALFORMED`
 */
export function readNpy(role: string, file: Uint8Array): NumberArray {
  const bytes = unpack(role, file);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6] ?? 0;
  if (text.toString("latin1", 0, 6) !== MAGIC || major < 1 || major > 3) throw malformed(role, "the file is no NumPy array of version 1 to 3");
  const headerStart = major === 1 ? 10 : 12;
  if (bytes.length < headerStart) throw malformed(role, "the header is cut off");
  const headerEnd = headerStart + (major === 1 ? text.readUInt16LE(8) : text.readUInt32LE(8));
  const header = text.toString("utf8", headerStart, headerEnd);
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]?.split(",").map((size) => size.trim()).filter((size) => size !== "").map(Number);
  if (descr === undefined || shape === undefined || shape.some((size) => !Number.isSafeInteger(size) || size < 0)) throw malformed(role, "the header cannot be read");
  if (fortran !== "False") throw malformed(role, "the array is in Fortran order: save it with numpy.ascontiguousarray");
  const type = TYPES[descr];
  if (type === undefined) throw malformed(role, `elements of type "${descr}" are not read: convert them to uint8 or float32`);
  const count = shape.reduce((product, size) => product * size, 1);
  const body = bytes.subarray(headerEnd);
  if (body.length !== count * type.bytes) throw malformed(role, `shape (${shape.join(", ")}) takes ${count * type.bytes} bytes, ${body.length} follow`);
  return { shape, data: type.read(new Uint8Array(body).buffer) };
}

const TYPES: Readonly<Record<string, { bytes: number; read: (buffer: ArrayBuffer) => ArrayLike<number> }>> = {
  "|u1": { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
  "|i1": { bytes: 1, read: (buffer) => new Int8Array(buffer) },
  "|b1": { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
  "<u2": { bytes: 2, read: (buffer) => new Uint16Array(buffer) },
  "<i2": { bytes: 2, read: (buffer) => new Int16Array(buffer) },
  "<i4": { bytes: 4, read: (buffer) => new Int32Array(buffer) },
  "<u4": { bytes: 4, read: (buffer) => new Uint32Array(buffer) },
  "<i8": { bytes: 8, read: (buffer) => Float64Array.from(new BigInt64Array(buffer), Number) },
  "<f4": { bytes: 4, read: (buffer) => new Float32Array(buffer) },
  "<f8": { bytes: 8, read: (buffer) => new Float64Array(buffer) },
};

/** Whether a byte array came out: pixels stay bytes. */
export function isByteArray(array: NumberArray): array is ByteArray {
  return array.data instanceof Uint8Array;
}
