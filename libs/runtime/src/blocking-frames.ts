// The engine's end of the socket pair. A run blocks the engine's thread anyway, so the engine reads and writes blocking, too:
// no event loop stands between a request and its run, and large tensors land by the kernel's copy in the memory that
// onnxruntime reads.

import { readSync, writevSync } from "node:fs";
import { FIXED_BYTES, FRAME_BYTES_MAX, PREFIX_BYTES, decodeFrame, type Frame } from "./frame.ts";

/** Memory that is kept between frames; more is taken for one frame and given back. */
const KEPT_BYTES_MAX = 16 * 1024 ** 2;
const FIRST_BYTES = 64 * 1024;

/** Frames over a blocking file descriptor. */
export class BlockingFrames {
  readonly #fd: number;
  /** The frame being read starts here, its length prefix in the four bytes before a multiple of 8. */
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #start = ALIGNED_START;
  #end = ALIGNED_START;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The next frame, or undefined when the other side has ended. Its bytes are valid until the next call. */
  read(): Frame | undefined {
    if (!this.#fill(PREFIX_BYTES)) return undefined;
    const size = this.#buffer.readUInt32LE(this.#start);
    if (size < FIXED_BYTES || size > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${size} bytes`);
    this.#makeRoom(PREFIX_BYTES + size);
    if (!this.#fill(PREFIX_BYTES + size)) return undefined;
    const body = this.#buffer.subarray(this.#start + PREFIX_BYTES, this.#start + PREFIX_BYTES + size);
    this.#start += PREFIX_BYTES + size;
    return decodeFrame(body);
  }

  /** Writes the buffers of a frame. */
  write(parts: readonly Uint8Array[]): void {
    let rest = [...parts];
    while (rest.length > 0) {
      let written = writevSync(this.#fd, rest.slice(0, VECTORS_MAX));
      const after: Uint8Array[] = [];
      for (const part of rest) {
        if (written >= part.length) written -= part.length;
        else {
          after.push(written > 0 ? part.subarray(written) : part);
          written = 0;
        }
      }
      rest = after;
    }
  }

  /** Reads until that many bytes of the frame are there. */
  #fill(bytes: number): boolean {
    while (this.#end - this.#start < bytes) {
      if (this.#end === this.#buffer.length) this.#makeRoom(bytes);
      const got = readSync(this.#fd, this.#buffer, this.#end, this.#buffer.length - this.#end, null);
      if (got === 0) return false;
      this.#end += got;
    }
    return true;
  }

  /** Moves the frame that has begun to the front of a buffer that holds it, so that its body is aligned. */
  #makeRoom(bytes: number): void {
    const isKept = this.#buffer.length <= KEPT_BYTES_MAX;
    const fits = this.#start + bytes <= this.#buffer.length && this.#start % 8 === ALIGNED_START;
    if (fits && isKept) return;
    const needed = ALIGNED_START + bytes;
    const begun = this.#buffer.subarray(this.#start, this.#end);
    const size = Math.max(FIRST_BYTES, needed, Math.min(KEPT_BYTES_MAX, needed * 2), ALIGNED_START + begun.length);
    const target = this.#buffer.length >= needed && isKept ? this.#buffer : Buffer.allocUnsafeSlow(size);
    target.set(begun, ALIGNED_START);
    this.#buffer = target;
    this.#start = ALIGNED_START;
    this.#end = ALIGNED_START + begun.length;
  }
}

/** The prefix ends at a multiple of 8, so ids, header and payload (padded by the sender) lie aligned. */
const ALIGNED_START = 8 - PREFIX_BYTES;
/** IOV_MAX of Linux. */
const VECTORS_MAX = 1_024;
