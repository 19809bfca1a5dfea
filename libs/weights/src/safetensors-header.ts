// Layout of a safetensors file: 8 bytes with the header's length (little-endian), the header (JSON: name → dtype, shape and
// offsets), then the bytes of all tensors without gaps. A file may come from anywhere, so everything in the header is checked
// before it is believed. Source: the format section of huggingface/safetensors' README, and its `validate` in tensor.rs.

import { StatusError } from "@servable/errors";
import { elementBytes, type Datatype } from "@servable/tensor";

/** The reference implementation refuses longer headers too. */
export const HEADER_BYTES_MAX = 100_000_000;

/** Bytes of the length before the header. */
export const PREFIX_BYTES = 8;

const DATATYPES: Readonly<Record<string, Datatype>> = {
  BOOL: "BOOL", U8: "UINT8", U16: "UINT16", U32: "UINT32", U64: "UINT64", I8: "INT8", I16: "INT16", I32: "INT32", I64: "INT64", F16: "FP16", BF16: "BF16", F32: "FP32", F64: "FP64",
};

/** The format's names of our datatypes. */
export const DTYPES: Readonly<Partial<Record<Datatype, string>>> = Object.fromEntries(Object.entries(DATATYPES).map(([dtype, datatype]) => [datatype, dtype]));

/** A tensor in a file. */
export interface TensorEntry {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** First byte and the byte after the last, from the beginning of the file. */
  readonly start: number;
  readonly end: number;
}

/** What a file says of itself. */
export interface SafetensorsHeader {
  /** In the order of their bytes. */
  readonly tensors: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Length of the header in bytes.
 *
 * @param prefix the first {@link PREFIX_BYTES} of the file
 * @throws StatusError `WEIGHTS_MALFORMED`
 */
export function headerLength(prefix: Uint8Array, fileBytes: number): number {
  if (fileBytes < PREFIX_BYTES + 2 || prefix.length < PREFIX_BYTES) throw malformed(`the file has ${fileBytes} bytes: too short for a header`);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX)) throw malformed(`it claims a header of ${length} bytes, at most ${HEADER_BYTES_MAX} are read: is this a safetensors file?`);
  if (length + BigInt(PREFIX_BYTES) > BigInt(fileBytes)) throw malformed(`it claims a header of ${length} bytes, but the file has ${fileBytes}: it is cut off, or no safetensors file`);
  return Number(length);
}

/**
 * Reads and checks the header.
 *
 * @throws StatusError `WEIGHTS_MALFORMED` naming the tensor and what is wrong with it
 */
export function readHeader(header: Uint8Array, fileBytes: number): SafetensorsHeader {
  const { __metadata__: metadata, ...entries } = objectOf(parse(header), "the header");
  const dataStart = PREFIX_BYTES + header.length;
  const tensors = Object.entries(entries).map(([name, entry]) => entryOf(name, entry, dataStart));
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = dataStart;
  for (const tensor of tensors) {
    if (tensor.start !== end) throw malformed(`tensor "${tensor.name}" begins at byte ${tensor.start - dataStart} of the data, ${end - dataStart} was expected: tensors ${tensor.start < end ? "overlap" : "leave a gap"}`);
    end = tensor.end;
  }
  if (end !== fileBytes) throw malformed(`its tensors end at byte ${end}, the file has ${fileBytes}: ${end > fileBytes ? "it is cut off" : "bytes follow that belong to no tensor"}`);
  return { tensors, metadata: metadata === undefined ? {} : metadataOf(metadata) };
}

function parse(header: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header));
  } catch (error) {
    throw malformed("its header is no valid JSON", error);
  }
}

function entryOf(name: string, entry: unknown, dataStart: number): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = objectOf(entry, `the entry of tensor "${name}"`);
  const datatype = typeof dtype === "string" ? DATATYPES[dtype] : undefined;
  if (datatype === undefined) throw malformed(`tensor "${name}" has the dtype ${JSON.stringify(dtype)}; read are ${Object.keys(DATATYPES).join(", ")}`);
  if (!isCounts(shape)) throw malformed(`tensor "${name}" has the shape ${JSON.stringify(shape)}; sizes must be whole numbers from 0 on`);
  if (!isCounts(offsets) || offsets.length !== 2) throw malformed(`tensor "${name}" has the offsets ${JSON.stringify(offsets)}; two whole numbers are needed`);
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((product, size) => product * size, elementBytes(datatype) ?? 0);
  if (end - start !== bytes) throw malformed(`tensor "${name}": ${dtype as string} of shape [${shape.join()}] takes ${bytes} bytes, its offsets [${start}, ${end}] hold ${end - start}`);
  return { name, datatype, shape, start: dataStart + start, end: dataStart + end };
}

function metadataOf(metadata: unknown): Record<string, string> {
  const entries = objectOf(metadata, "__metadata__");
  for (const [key, value] of Object.entries(entries)) if (typeof value !== "string") throw malformed(`__metadata__ "${key}" is no text`);
  return entries as Record<string, string>;
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${what} is no JSON object`);
  return value as Record<string, unknown>;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && (each as number) >= 0);
}

function malformed(message: string, cause?: unknown): StatusError {
  return new StatusError("WEIGHTS_MALFORMED", `safetensors: ${message}`, { cause });
}
