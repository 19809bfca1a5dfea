// A cursor over protobuf's wire format. Source: https://protobuf.dev/programming-guides/encoding/
// Nothing is copied: strings are decoded where they stand, bytes are views. Every length is held against the end before it is
// used, so that a message of a few bytes cannot make a loop run for long.

const decoder = new TextDecoder("utf-8", { fatal: true });
/** Wire types. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

const DEPTH_MAX = 100;

/** The bytes are no valid message. */
export class WireError extends Error {}

/** Reads one message's fields in turn. */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  position: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)) {
    this.#bytes = bytes;
    this.#view = view;
    this.position = start;
    this.end = end;
  }

  /** Whether fields are left. */
  get hasMore(): boolean {
    return this.position < this.end;
  }

  /** Field number and wire type of the next field, as `number * 8 + type`. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new WireError("field number 0");
    return tag;
  }

  /** An unsigned 32-bit varint; higher bits are dropped, as protobuf wants it. */
  uint32(): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; ; shift += 7) {
      byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
      if (shift >= 63) throw new WireError("a varint of more than 10 bytes");
    }
  }

  /** A signed 64-bit varint. */
  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** An unsigned 64-bit varint. */
  uint64(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
      if (shift >= 63n) throw new WireError("a varint of more than 10 bytes");
    }
  }

  /** A signed 64-bit varint as a number; NaN-free: beyond 2^53 it is not exact, which is far beyond any dimension. */
  int64AsNumber(): number {
    const start = this.position;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    this.position = start;
    return Number(this.int64());
  }

  float(): number {
    const at = this.#advance(4);
    return this.#view.getFloat32(at, true);
  }

  double(): number {
    const at = this.#advance(8);
    return this.#view.getFloat64(at, true);
  }

  /** A view of a length-delimited field. */
  bytes(): Uint8Array {
    const length = this.uint32();
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Text. */
  string(): string {
    const length = this.uint32();
    const at = this.#advance(length);
    let isAscii = length <= 64;
    for (let index = at; isAscii && index < at + length; index++) isAscii = (this.#bytes[index] ?? 0) < 0x80;
    if (isAscii) {
      let text = "";
      for (let index = at; index < at + length; index++) text += String.fromCharCode(this.#bytes[index] ?? 0);
      return text;
    }
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length));
    } catch {
      throw new WireError("text that is no UTF-8");
    }
  }

  /** A reader of a length-delimited field's own fields. */
  message(): WireReader {
    const length = this.uint32();
    const at = this.#advance(length);
    return new WireReader(this.#bytes, at, at + length, this.#view);
  }

  /** Passes over a field that is not known. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case VARINT:
        this.uint64();
        return;
      case FIXED64:
        this.#advance(8);
        return;
      case LENGTH_DELIMITED:
        this.#advance(this.uint32());
        return;
      case FIXED32:
        this.#advance(4);
        return;
      case 3: {
        // A group of old times: passed over up to its end tag.
        if (depth >= DEPTH_MAX) throw new WireError("groups nested too deep");
        for (;;) {
          const inner = this.tag();
          if ((inner & 7) === 4) {
            if (inner >>> 3 !== tag >>> 3) throw new WireError("a group ends that did not begin");
            return;
          }
          this.skip(inner, depth + 1);
        }
      }
      default:
        throw new WireError(`wire type ${tag & 7}`);
    }
  }

  #byte(): number {
    if (this.position >= this.end) throw new WireError("the message ends in the middle of a field");
    return this.#bytes[this.position++] ?? 0;
  }

  #advance(length: number): number {
    const at = this.position;
    if (length > this.end - at) throw new WireError("a length goes beyond the end of the message");
    this.position = at + length;
    return at;
  }
}
