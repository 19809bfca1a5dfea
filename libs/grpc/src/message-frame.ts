// gRPC's length-prefixed messages: one byte of flags, four of length, the message.
// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message

import { StatusError } from "@servable/errors";
import { countMessageBytes } from "./message-garbage.ts";

/** Flags and length before a message. */
export const PREFIX_BYTES = 5;
/** Room made for a message before its bytes are there; larger ones grow as they come. */
const FIRST_BYTES_MAX = 1024 * 1024;

/** The message with its prefix. One that came framed and still has its prefix before it is not copied. */
export function frameOf(message: Uint8Array): Buffer {
  const { buffer, byteOffset, byteLength } = message;
  if (byteOffset >= PREFIX_BYTES) {
    // What stands there is sent as it is, so it need only be right, whoever wrote it.
    const framed = Buffer.from(buffer, byteOffset - PREFIX_BYTES, byteLength + PREFIX_BYTES);
    if (framed[0] === 0 && framed.readUInt32BE(1) === byteLength) return framed;
  }
  countMessageBytes(byteLength);
  const framed = Buffer.allocUnsafe(byteLength + PREFIX_BYTES);
  writePrefix(framed, byteLength);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** The error of a message above a bound, in grpc-js's words. */
export function messageTooLarge(messageBytes: number, bytesMax: number): StatusError {
  return new StatusError("MESSAGE_TOO_LARGE", `Received message larger than max (${messageBytes} vs ${bytesMax})`);
}

/** Writes the prefix of an uncompressed message. */
export function writePrefix(framed: Buffer, messageBytes: number): void {
  framed[0] = 0;
  framed.writeUInt32BE(messageBytes, 1);
}

/** Cuts a byte stream into messages. A message within one chunk is a view of it; others are copied once, as they come. */
export class MessageReader {
  readonly #bytesMax: number;
  readonly #onMessage: (message: Buffer) => void;
  readonly #prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  #prefixLength = 0;
  #message: Buffer | undefined;
  #written = 0;
  #length = 0;

  /** `bytesMax`: the largest message taken. */
  constructor(bytesMax: number, onMessage: (message: Buffer) => void) {
    this.#bytesMax = bytesMax;
    this.#onMessage = onMessage;
  }

  /** Whether a message has begun that has not ended. */
  get incomplete(): boolean {
    return this.#prefixLength > 0;
  }

  /** @throws StatusError `MESSAGE_TOO_LARGE`, `INTERNAL` for a compressed message, which nobody asked for */
  push(chunk: Buffer): void {
    countMessageBytes(chunk.length);
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixLength < PREFIX_BYTES) {
        const count = Math.min(PREFIX_BYTES - this.#prefixLength, chunk.length - at);
        chunk.copy(this.#prefix, this.#prefixLength, at, at + count);
        this.#prefixLength += count;
        at += count;
        if (this.#prefixLength < PREFIX_BYTES) return;
        const length = this.#checkedLength();
        if (chunk.length - at >= length) {
          this.#prefixLength = 0;
          this.#onMessage(chunk.subarray(at, at + length));
          at += length;
          continue;
        }
        // The prefix goes along, so that a message that is passed on is framed already.
        this.#message = Buffer.allocUnsafeSlow(PREFIX_BYTES + Math.min(length, FIRST_BYTES_MAX));
        this.#prefix.copy(this.#message);
        this.#written = PREFIX_BYTES;
        this.#length = PREFIX_BYTES + length;
      }
      at += this.#append(chunk, at);
      if (this.#written < this.#length) continue;
      const message = this.#message as Buffer;
      this.#prefixLength = 0;
      this.#message = undefined;
      this.#onMessage(message.subarray(PREFIX_BYTES));
    }
  }

  #append(chunk: Buffer, at: number): number {
    let message = this.#message as Buffer;
    if (this.#written === message.length) {
      // A peer that announces much and sends little must not cost much.
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#length, message.length * 2));
      message.copy(larger);
      this.#message = message = larger;
    }
    const count = Math.min(message.length - this.#written, chunk.length - at);
    chunk.copy(message, this.#written, at, at + count);
    countMessageBytes(count);
    this.#written += count;
    return count;
  }

  #checkedLength(): number {
    if (this.#prefix[0] !== 0) throw new StatusError("INTERNAL", "the message is compressed, which was not agreed on");
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#bytesMax) {
      throw messageTooLarge(length, this.#bytesMax);
    }
    return length;
  }
}
