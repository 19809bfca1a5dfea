// Service and engine talk over a socket pair in frames: [u32 bytes that follow][u32 id][u32 header bytes][header: JSON][payload].
// Headers are small; tensors travel as they are, in the payload, each at a multiple of 8 bytes, so that the engine can use
// them where they lie.

import type { Datatype } from "@servable/tensor";
import type { NamedTensor } from "./engine.ts";

/** One frame. */
export interface Frame {
  readonly id: number;
  readonly header: unknown;
  readonly payload: Uint8Array;
}

/** Bytes before what a frame's length counts. */
export const PREFIX_BYTES = 4;
/** Id and header length. */
export const FIXED_BYTES = 8;
/** Larger frames are a defect or an attack. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1;

const ALIGNMENT = 8;
const ZEROS = new Uint8Array(ALIGNMENT);

/** Headers of tensors, whose bytes stand one behind the other in the payload. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** The buffers of a frame, to be written one behind the other. Each tensor's bytes may be one buffer or several. */
export function encodeFrame(id: number, header: unknown, tensors: readonly (Uint8Array | readonly Uint8Array[])[] = []): Uint8Array[] {
  // Spaces bring the payload to a multiple of 8 bytes.
  const text = JSON.stringify(header);
  const headerBytes = aligned(Buffer.byteLength(text));
  const head = Buffer.allocUnsafe(PREFIX_BYTES + FIXED_BYTES + headerBytes);
  head.fill(0x20, PREFIX_BYTES + FIXED_BYTES + headerBytes - ALIGNMENT);
  head.write(text, PREFIX_BYTES + FIXED_BYTES);
  const parts: Uint8Array[] = [head];
  let payloadBytes = 0;
  for (const tensor of tensors) {
    const bytes = byteLengthOf(tensor);
    if (tensor instanceof Uint8Array) parts.push(tensor);
    else parts.push(...(tensor));
    const padding = aligned(bytes) - bytes;
    if (padding > 0) parts.push(ZEROS.subarray(0, padding));
    payloadBytes += bytes + padding;
  }
  head.writeUInt32LE(FIXED_BYTES + headerBytes + payloadBytes, 0);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(headerBytes, 8);
  return parts;
}

/** Bytes of a tensor in one part or several. */
export function byteLengthOf(data: Uint8Array | readonly Uint8Array[]): number {
  if (data instanceof Uint8Array) return data.length;
  let sum = 0;
  for (const part of data) sum += part.length;
  return sum;
}

/** Reads id, header and payload of a frame's body (all that follows the length). */
export function decodeFrame(body: Buffer): Frame {
  const headerBytes = body.readUInt32LE(4);
  return {
    id: body.readUInt32LE(0),
    header: JSON.parse(body.toString("utf8", FIXED_BYTES, FIXED_BYTES + headerBytes)) as unknown,
    payload: body.subarray(FIXED_BYTES + headerBytes),
  };
}

/** Cuts a payload into its tensors. */
export function tensorsOf(headers: readonly TensorHeader[], payload: Uint8Array): NamedTensor[] {
  let offset = 0;
  return headers.map(({ name, datatype, shape, bytes }) => {
    const data = payload.subarray(offset, offset + bytes);
    offset += aligned(bytes);
    return { name, datatype, shape, data };
  });
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Puts frames together from chunks; each frame's bytes are copied once, into a buffer of their own. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes of the stream. */
  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#body === undefined) {
        const take = Math.min(PREFIX_BYTES - this.#prefixBytes, chunk.length - offset);
        this.#prefix.set(chunk.subarray(offset, offset + take), this.#prefixBytes);
        this.#prefixBytes += take;
        offset += take;
        if (this.#prefixBytes < PREFIX_BYTES) return;
        this.#body = allocateBody(this.#prefix.readUInt32LE(0));
        this.#bodyBytes = 0;
      }
      const take = Math.min(this.#body.length - this.#bodyBytes, chunk.length - offset);
      this.#body.set(chunk.subarray(offset, offset + take), this.#bodyBytes);
      this.#bodyBytes += take;
      offset += take;
      if (this.#bodyBytes === this.#body.length) {
        const body = this.#body;
        this.#body = undefined;
        this.#prefixBytes = 0;
        this.#onFrame(decodeFrame(body));
      }
    }
  }
}

/** Its own memory, so that tensors cut from it are aligned and can be kept. @throws RangeError for a size that no frame has */
function allocateBody(size: number): Buffer {
  if (size < FIXED_BYTES || size > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${size} bytes`);
  return Buffer.allocUnsafeSlow(size);
}
