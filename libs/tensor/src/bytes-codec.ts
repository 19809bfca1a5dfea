import { StatusError } from "@servable/errors";

// BYTES on the wire: for each element a little-endian u32 length, then the bytes.

/** Writes elements one behind the other, each with its length. */
export function encodeBytesElements(elements: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(elements.reduce((sum, element) => sum + 4 + element.length, 0));
  const view = new DataView(out.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.length, true);
    out.set(element, offset + 4);
    offset += 4 + element.length;
  }
  return out;
}

/** Reads `count` elements as views. @throws StatusError `BYTE_COUNT_MISMATCH` when lengths and bytes do not add up */
export function decodeBytesElements(raw: Uint8Array, count: number, name = "tensor"): Uint8Array[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  while (offset < raw.length) {
    const end = offset + 4 <= raw.length ? offset + 4 + view.getUint32(offset, true) : Infinity;
    if (end > raw.length || elements.length === count) break;
    elements.push(raw.subarray(offset + 4, end));
    offset = end;
  }
  if (elements.length !== count || offset !== raw.length) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `${name}: ${raw.length} bytes do not hold ${count} BYTES elements, each a 4-byte length and its bytes`);
  }
  return elements;
}
