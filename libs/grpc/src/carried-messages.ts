// The messages of servable.transport.v1.CallCarrierService, written and read by hand: they stand on the path of every small call,
// where the generated codec would cost as much as it saves. The tests hold it against the generated one.

import { PREFIX_BYTES, writePrefix } from "./message-frame.ts";

/** A unary call as it is carried. */
export interface CarriedCall {
  readonly id: number;
  readonly path: string;
  /** Names and values in turn; ASCII. */
  readonly headers: readonly string[];
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly message: Uint8Array;
}

/** How a carried call ended. */
export interface CarriedAnswer {
  readonly id: number;
  /** gRPC's code. */
  readonly status: number;
  readonly statusMessage: string;
  readonly statusDetails: Uint8Array | undefined;
  readonly message: Uint8Array;
}

const VARINT = 0;
const DELIMITED = 2;
/** Tags of the fields, all below 16: one byte each. */
const CALLS = (1 << 3) | DELIMITED;
const CANCELLED = (2 << 3) | VARINT;
const ID = (1 << 3) | VARINT;
const PATH = (2 << 3) | DELIMITED;
const HEADERS = (3 << 3) | DELIMITED;
const TIMEOUT = (4 << 3) | VARINT;
const MESSAGE = (5 << 3) | DELIMITED;
const ANSWERS = (1 << 3) | DELIMITED;
const DRAINING = (2 << 3) | VARINT;
const STATUS = (2 << 3) | VARINT;
const STATUS_MESSAGE = (3 << 3) | DELIMITED;
const STATUS_DETAILS = (4 << 3) | DELIMITED;
const VARINT_BYTES_MAX = 10;

/** A batch that has so many bytes leaves at once: its reader need not make room for more than this and one message. */
export const BATCH_BYTES_MAX = 256 * 1024;
const ROOM_BYTES = 16 * 1024;

/** A gRPC message that grows by parts and leaves with its prefix. */
export class BatchWriter {
  #buffer = Buffer.allocUnsafeSlow(ROOM_BYTES);
  #length = PREFIX_BYTES;

  get empty(): boolean {
    return this.#length === PREFIX_BYTES;
  }

  get full(): boolean {
    return this.#length >= BATCH_BYTES_MAX;
  }

  addCall({ id, path, headers, timeoutMs, message }: CarriedCall): void {
    let roomBytes = path.length + message.length + 6 * VARINT_BYTES_MAX;
    for (const text of headers) roomBytes += text.length + VARINT_BYTES_MAX;
    const end = this.#begin(CALLS, roomBytes);
    this.#number(ID, id);
    this.#text(PATH, path);
    for (const text of headers) this.#text(HEADERS, text);
    if (timeoutMs > 0) this.#number(TIMEOUT, timeoutMs);
    this.#bytes(MESSAGE, message);
    end();
  }

  addCancellation(id: number): void {
    this.#room(2 * VARINT_BYTES_MAX);
    this.#number(CANCELLED, id);
  }

  addAnswer({ id, status, statusMessage, statusDetails, message }: CarriedAnswer): void {
    const end = this.#begin(ANSWERS, 3 * statusMessage.length + (statusDetails?.length ?? 0) + message.length + 6 * VARINT_BYTES_MAX);
    this.#number(ID, id);
    if (status !== 0) {
      this.#number(STATUS, status);
      this.#bytes(STATUS_MESSAGE, Buffer.from(statusMessage));
      if (statusDetails !== undefined) this.#bytes(STATUS_DETAILS, statusDetails);
    } else this.#bytes(MESSAGE, message);
    end();
  }

  addDraining(): void {
    this.#room(2);
    this.#number(DRAINING, 1);
  }

  /** The framed message; the writer is empty again. */
  take(): Buffer {
    // The transport keeps what it is given until it is sent: a small message is copied, of a large one it gets the memory.
    const length = this.#length;
    let framed: Buffer;
    if (this.#buffer.length > ROOM_BYTES) {
      framed = this.#buffer.subarray(0, length);
      this.#buffer = Buffer.allocUnsafeSlow(ROOM_BYTES);
    } else {
      framed = Buffer.allocUnsafe(length);
      this.#buffer.copy(framed, 0, 0, length);
    }
    writePrefix(framed, length - PREFIX_BYTES);
    this.#length = PREFIX_BYTES;
    return framed;
  }

  /** Begins a nested message of at most so many bytes; call the answer at its end. */
  #begin(tag: number, roomBytes: number): () => void {
    this.#room(roomBytes + 1 + LENGTH_BYTES);
    this.#buffer[this.#length++] = tag;
    const lengthAt = this.#length;
    this.#length += LENGTH_BYTES;
    return () => {
      // A length of fixed width: protobuf reads varints with zeros behind, and nothing has to move.
      let left = this.#length - lengthAt - LENGTH_BYTES;
      for (let index = 0; index < LENGTH_BYTES - 1; index++) {
        this.#buffer[lengthAt + index] = (left & 0x7f) | 0x80;
        left >>>= 7;
      }
      this.#buffer[lengthAt + LENGTH_BYTES - 1] = left;
    };
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  #varint(value: number): void {
    let left = value;
    while (left >= 0x80) {
      this.#buffer[this.#length++] = (left % 0x80) | 0x80;
      left = Math.floor(left / 0x80);
    }
    this.#buffer[this.#length++] = left;
  }

  #number(tag: number, value: number): void {
    this.#buffer[this.#length++] = tag;
    this.#varint(value);
  }

  #text(tag: number, text: string): void {
    this.#buffer[this.#length++] = tag;
    this.#varint(text.length);
    this.#length += this.#buffer.write(text, this.#length, "latin1");
  }

  #bytes(tag: number, bytes: Uint8Array): void {
    this.#buffer[this.#length++] = tag;
    this.#varint(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** Bytes of a nested message's length: up to 2^28. */
const LENGTH_BYTES = 4;

/** Raised where bytes are no such message. */
class MalformedBatch extends Error {
  override readonly name = "MalformedBatch";
}

/** What a batch of calls holds. Messages are views of it. @throws Error when it is none */
export function readCalls(batch: Buffer, onCall: (call: CarriedCall) => void, onCancelled: (id: number) => void): void {
  const reader = new BatchReader(batch, 0, batch.length);
  while (reader.left) {
    const tag = reader.varint();
    if (tag === CALLS) onCall(readCall(reader.nested()));
    else if (tag === CANCELLED) onCancelled(reader.varint());
    else reader.skip(tag);
  }
}

function readCall(reader: BatchReader): CarriedCall {
  let [id, path, timeoutMs] = [0, "", 0];
  let message: Uint8Array = new Uint8Array();
  const headers: string[] = [];
  while (reader.left) {
    const tag = reader.varint();
    if (tag === ID) id = reader.varint();
    else if (tag === PATH) path = reader.text();
    else if (tag === HEADERS) headers.push(reader.text());
    else if (tag === TIMEOUT) timeoutMs = reader.varint();
    else if (tag === MESSAGE) message = reader.bytes();
    else reader.skip(tag);
  }
  return { id, path, headers, timeoutMs, message };
}

/** What a batch of answers holds. Messages are views of it. @throws Error when it is none */
export function readAnswers(batch: Buffer, onAnswer: (answer: CarriedAnswer) => void, onDraining: () => void): void {
  const reader = new BatchReader(batch, 0, batch.length);
  while (reader.left) {
    const tag = reader.varint();
    if (tag === ANSWERS) onAnswer(readAnswer(reader.nested()));
    else if (tag === DRAINING) {
      if (reader.varint() !== 0) onDraining();
    } else reader.skip(tag);
  }
}

function readAnswer(reader: BatchReader): CarriedAnswer {
  let [id, status, statusMessage] = [0, 0, ""];
  let statusDetails: Uint8Array | undefined;
  let message: Uint8Array = new Uint8Array();
  while (reader.left) {
    const tag = reader.varint();
    if (tag === ID) id = reader.varint();
    else if (tag === STATUS) status = reader.varint();
    else if (tag === STATUS_MESSAGE) statusMessage = Buffer.from(reader.bytes()).toString();
    else if (tag === STATUS_DETAILS) statusDetails = reader.bytes();
    else if (tag === MESSAGE) message = reader.bytes();
    else reader.skip(tag);
  }
  return { id, status, statusMessage, statusDetails, message };
}

class BatchReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(buffer: Buffer, at: number, end: number) {
    this.#buffer = buffer;
    this.#at = at;
    this.#end = end;
  }

  get left(): boolean {
    return this.#at < this.#end;
  }

  varint(): number {
    let [value, scale] = [0, 1];
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      if (this.#at >= this.#end) break;
      const byte = this.#buffer[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new MalformedBatch("a number does not end");
  }

  bytes(): Buffer {
    const from = this.#advance(this.varint());
    return this.#buffer.subarray(from, this.#at);
  }

  text(): string {
    const from = this.#advance(this.varint());
    return this.#buffer.toString("latin1", from, this.#at);
  }

  nested(): BatchReader {
    const from = this.#advance(this.varint());
    return new BatchReader(this.#buffer, from, this.#at);
  }

  /** Passes over a field that is not known here. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case DELIMITED:
        this.#advance(this.varint());
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new MalformedBatch(`there is no wire type ${tag & 7}`);
    }
  }

  #advance(count: number): number {
    const from = this.#at;
    if (count > this.#end - from) throw new MalformedBatch("a field ends after its message");
    this.#at = from + count;
    return from;
  }
}
