import { StatusError } from "@servable/errors";
import { checkByteCount, type Tensor } from "@servable/tensor";
import { DTYPES, PREFIX_BYTES, headerLength, readHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors-header.ts";

/** Tensors by name with what was noted beside them. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes that are read piece by piece, e.g. of an open file. */
export interface ByteSource {
  readonly byteLength: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

/** A file whose tensors are read one by one. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** @throws StatusError `WEIGHTS_MALFORMED` when there is no such tensor */
  tensor(name: string): Promise<Tensor>;
}

/**
 * The tensors of a file in memory, as views of its bytes.
 *
 * @throws StatusError `WEIGHTS_MALFORMED` naming the tensor and what is wrong with it
 */
export function readSafetensors(bytes: Uint8Array): Weights {
  const length = headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.length);
  const { tensors, metadata } = readHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), bytes.length);
  return { metadata, tensors: new Map(tensors.map((entry) => [entry.name, tensorOf(entry, bytes.subarray(entry.start, entry.end))])) };
}

/**
 * Reads the header; tensors are read when asked for, so that a file may be larger than memory.
 *
 * @throws StatusError `WEIGHTS_MALFORMED`
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const length = headerLength(await source.read(0, Math.min(PREFIX_BYTES, source.byteLength)), source.byteLength);
  const header = readHeader(await source.read(PREFIX_BYTES, PREFIX_BYTES + length), source.byteLength);
  const byName = new Map(header.tensors.map((entry) => [entry.name, entry]));
  return {
    ...header,
    async tensor(name) {
      const entry = byName.get(name);
      if (entry === undefined) throw new StatusError("WEIGHTS_MALFORMED", `safetensors: there is no tensor "${name}", only ${[...byName.keys()].slice(0, 20).join(", ")}`);
      return tensorOf(entry, await source.read(entry.start, entry.end));
    },
  };
}

/**
 * A file in pieces, none of them copied: header first, then each tensor's own bytes. The same tensors give the same bytes.
 *
 * Wider elements come first, so that every tensor is aligned for its datatype; the header is padded to 8 bytes.
 *
 * @throws StatusError `WEIGHTS_MALFORMED` for a tensor of texts, which the format does not have
 */
export function* writeSafetensors({ tensors, metadata = {} }: { readonly tensors: ReadonlyMap<string, Tensor>; readonly metadata?: Readonly<Record<string, string>> }): Generator<Uint8Array> {
  const width = (tensor: Tensor): number => (tensor.shape.includes(0) ? 0 : tensor.data.length / tensor.shape.reduce((product, size) => product * size, 1));
  const ordered = [...tensors].sort(([nameA, a], [nameB, b]) => width(b) - width(a) || (nameA < nameB ? -1 : 1));
  let offset = 0;
  const entries = ordered.map(([name, tensor]) => {
    const dtype = DTYPES[tensor.datatype];
    if (dtype === undefined) throw new StatusError("WEIGHTS_MALFORMED", `safetensors: tensor "${name}" is ${tensor.datatype}, which the format does not have`);
    checkByteCount(tensor, name);
    return [name, { dtype, shape: tensor.shape, data_offsets: [offset, (offset += tensor.data.length)] }] as const;
  });
  const json = JSON.stringify({ ...(Object.keys(metadata).length > 0 && { __metadata__: metadata }), ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(json);
  const padded = Math.ceil(header.length / 8) * 8;
  const head = new Uint8Array(PREFIX_BYTES + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(header, PREFIX_BYTES);
  yield head;
  for (const [, { data }] of ordered) yield data;
}

/** A whole file. @throws StatusError `WEIGHTS_MALFORMED` */
export function encodeSafetensors(weights: Parameters<typeof writeSafetensors>[0]): Uint8Array<ArrayBuffer> {
  const pieces = [...writeSafetensors(weights)];
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

function tensorOf({ datatype, shape }: TensorEntry, data: Uint8Array): Tensor {
  return { datatype, shape, data };
}
