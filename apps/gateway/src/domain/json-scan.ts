// What JSON.parse does not tell: how deep a text nests, and which keys it names twice. Both are read off the text itself.

import { StatusError } from "@servable/errors";
import { NESTING_DEPTH_MAX } from "@servable/tensor";

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** @throws StatusError `JSON_MALFORMED` where lists and objects nest deeper than Triton allows */
export function checkNesting(body: Uint8Array): void {
  // Whoever opens no more than that cannot nest deeper.
  if (countUpTo(body, NESTING_DEPTH_MAX) < NESTING_DEPTH_MAX) return;
  let depth = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > NESTING_DEPTH_MAX) throw new StatusError("JSON_MALFORMED", `JSON nesting depth exceeds maximum allowed limit (${NESTING_DEPTH_MAX})`, { metadata: { limit: "nesting" } });
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
}

/** The keys of the outermost object in their order, those named twice twice. The text must be valid JSON. */
export function outermostKeys(body: Uint8Array): string[] {
  const keys: string[] = [];
  let depth = 0;
  let isKey = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) {
      const end = endOfString(body, at);
      if (isKey && depth === 1) keys.push(JSON.parse(Buffer.from(body.subarray(at, end + 1)).toString("utf8")) as string);
      isKey = false;
      at = end;
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      isKey = byte === OPEN_OBJECT;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
    else if (byte === 0x2c) isKey = depth === 1;
  }
  return keys;
}

function endOfString(body: Uint8Array, start: number): number {
  for (let at = start + 1; at < body.length; at += 1) {
    if (body[at] === BACKSLASH) at += 1;
    else if (body[at] === QUOTE) return at;
  }
  return body.length;
}

function countUpTo(body: Uint8Array, enough: number): number {
  let count = 0;
  for (const byte of [OPEN_LIST, OPEN_OBJECT]) {
    for (let at = body.indexOf(byte); at !== -1; at = body.indexOf(byte, at + 1)) {
      count += 1;
      if (count >= enough) return count;
    }
  }
  return count;
}
