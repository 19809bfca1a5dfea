import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { malformedAt } from "./malformed.ts";

const PIECE_BYTES = 1024 ** 2;
/** Longest line or row: a file without line ends must not end up in memory as one. */
export const LINE_CHARS_MAX = 16 * 1024 ** 2;

/**
 * A file's text in pieces of about a mebibyte, without a byte order mark. Pieces do not end at line ends.
 *
 * @throws StatusError `DATASET_MALFORMED` naming the line whose bytes are no UTF-8
 */
export async function* textPieces(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const bytes of createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Uint8Array>) {
    yield await decode(() => decoder.decode(bytes, { stream: true }), path);
  }
  yield await decode(() => decoder.decode(), path);
}

/** A file's lines without their ends, with their numbers from 1 on. A last line end makes no further line. */
export async function* textLines(path: string): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  let rest = "";
  let line = 1;
  for await (const piece of textPieces(path)) {
    const text = rest + piece;
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      yield { text: text.slice(start, end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end), line };
      start = end + 1;
      line++;
    }
    rest = text.slice(start);
    if (rest.length > LINE_CHARS_MAX) throw malformedAt("line", line, `the line is longer than ${LINE_CHARS_MAX} characters`);
  }
  if (rest !== "") yield { text: rest, line };
}

/**
 * A text that keeps nothing else alive: V8 makes a slice a view of the piece that it was cut from, so a thousand kept words
 * would keep a thousand mebibytes.
 */
export function detached(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, "utf16le").toString("utf16le");
}

async function decode(work: () => string, path: string): Promise<string> {
  try {
    return work();
  } catch {
    throw malformedAt("line", await invalidLine(path), "the bytes are no UTF-8: save the file as UTF-8");
  }
}

/** The first line that is no UTF-8: people need it more than the offset. */
async function invalidLine(path: string): Promise<number> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  for await (const bytes of createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>) {
    const block = Buffer.concat([rest, bytes]);
    let start = 0;
    for (let end = block.indexOf(10); end >= 0; end = block.indexOf(10, start)) {
      if (!isUtf8(block.subarray(start, end))) return line;
      start = end + 1;
      line++;
    }
    rest = block.subarray(start);
    if (rest.length > 4 * LINE_CHARS_MAX) return line;
  }
  return line;
}
