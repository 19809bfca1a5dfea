// Service and engine talk over a socket pair in frames: [u32 bytes that follow][u32 id][u32 header bytes][header: JSON][payload].
// Headers are small; tensors travel as they are, in the payload.

/** One frame. */
export interface Frame {
  readonly id: number;
  readonly header: unknown;
  readonly payload: Uint8Array;
}

const PREFIX_BYTES = 4;
const FIXED_BYTES = 8;
/** Larger frames are a defect or an attack. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1;

/** The buffers of a frame, to be written one behind the other. */
export function encodeFrame(id: number, header: unknown, payload: readonly Uint8Array[] = []): Uint8Array[] {
  // Spaces bring the payload to a multiple of 8 bytes, so that its first tensor can be used where it lies.
  const text = JSON.stringify(header);
  const json = Buffer.from(text + " ".repeat((8 - (Buffer.byteLength(text) % 8)) % 8));
  const head = Buffer.allocUnsafe(PREFIX_BYTES + FIXED_BYTES);
  head.writeUInt32LE(FIXED_BYTES + json.length + payload.reduce((sum, part) => sum + part.length, 0), 0);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(json.length, 8);
  return [head, json, ...payload];
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
        const size = this.#prefix.readUInt32LE(0);
        if (size < FIXED_BYTES || size > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${size} bytes`);
        // Its own memory, so that tensors cut from it are aligned and can be kept.
        this.#body = Buffer.from(new ArrayBuffer(size));
        this.#bodyBytes = 0;
      }
      const take = Math.min(this.#body.length - this.#bodyBytes, chunk.length - offset);
      this.#body.set(chunk.subarray(offset, offset + take), this.#bodyBytes);
      this.#bodyBytes += take;
      offset += take;
      if (this.#bodyBytes === this.#body.length) this.#emit(this.#body);
    }
  }

  #emit(body: Buffer): void {
    this.#body = undefined;
    this.#prefixBytes = 0;
    const headerBytes = body.readUInt32LE(4);
    this.#onFrame({
      id: body.readUInt32LE(0),
      header: JSON.parse(body.toString("utf8", FIXED_BYTES, FIXED_BYTES + headerBytes)) as unknown,
      payload: body.subarray(FIXED_BYTES + headerBytes),
    });
  }
}

/** Headers of tensors, whose bytes stand one behind the other in the payload. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** Cuts a payload into its tensors. */
export function tensorsOf(headers: readonly TensorHeader[], payload: Uint8Array): { name: string; datatype: string; shape: readonly number[]; data: Uint8Array }[] {
  let offset = 0;
  return headers.map(({ name, datatype, shape, bytes }) => {
    const data = payload.subarray(offset, offset + bytes);
    offset += bytes;
    return { name, datatype, shape, data };
  });
}
