import { malformedAt } from "./malformed.ts";
import { LINE_CHARS_MAX } from "./text-pieces.ts";

// Comma-separated values by RFC 4180, read in pieces. A row that is not complete yet waits with its beginning for the next
// piece; a quote may hold line ends, so only the reader of cells knows where a row ends. Beyond the RFC: spaces around cells
// do not count, also before a quote; the line ends of two systems may be mixed.

const QUOTE = 34;
const NEWLINE = 10;
const DELIMITERS = [",", ";", "\t", "|"] as const;

/** Told of rows. */
export interface CsvRowHandler {
  /** The line on which the row begins. */
  row(cells: string[], line: number): void;
  bad(line: number, reason: string): void;
}

/** Cuts pieces of text into rows. */
export interface CsvRows {
  push(piece: string): void;
  /** @throws StatusError `DATASET_MALFORMED` when a quote is open */
  end(): void;
}

/** A reader of rows; the delimiter is the one of comma, semicolon, tab and bar that the first line has most of. */
export function csvRows(handler: CsvRowHandler): CsvRows {
  let rest = "";
  let line = 1;
  let delimiter: number | undefined;

  /** Reads the row at `from`; gives where the next one begins, or -1 when the text ends before the row does. */
  const readRow = (text: string, from: number, isLast: boolean, separator: number): number => {
    const cells: string[] = [];
    const startLine = line;
    let lines = 1;
    let reason: string | undefined;
    let at = from;
    for (;;) {
      while (at < text.length && isSpace(text.charCodeAt(at)) && text.charCodeAt(at) !== separator) at++;
      if (text.charCodeAt(at) === QUOTE) {
        let value = "";
        let start = at + 1;
        for (;;) {
          const end = text.indexOf('"', start);
          if (end < 0 || (end === text.length - 1 && !isLast)) {
            if (isLast) throw malformedAt("line", startLine, "a quote is not closed, or text follows its end");
            return -1;
          }
          if (text.charCodeAt(end + 1) === QUOTE) {
            value += text.slice(start, end + 1);
            start = end + 2;
            continue;
          }
          value += text.slice(start, end);
          at = end + 1;
          break;
        }
        for (let index = value.indexOf("\n"); index >= 0; index = value.indexOf("\n", index + 1)) lines++;
        cells.push((value.includes("\r") ? value.replaceAll("\r\n", "\n") : value).trim());
        while (at < text.length && isSpace(text.charCodeAt(at)) && text.charCodeAt(at) !== separator) at++;
        const next = text.charCodeAt(at);
        if (at < text.length && next !== separator && next !== NEWLINE) {
          reason = "a quote is not closed, or text follows its end";
          const end = text.indexOf("\n", at);
          if (end < 0 && !isLast) return -1;
          at = end < 0 ? text.length : end;
        }
      } else {
        const start = at;
        while (at < text.length) {
          const code = text.charCodeAt(at);
          if (code === separator || code === NEWLINE) break;
          at++;
        }
        cells.push(text.slice(start, at).trimEnd());
      }
      if (at >= text.length) {
        if (!isLast) return -1;
        break;
      }
      if (text.charCodeAt(at++) === NEWLINE) break;
    }
    line += lines;
    if (reason !== undefined) handler.bad(startLine, reason);
    else if (cells.length > 1 || cells[0] !== "") handler.row(cells, startLine);
    return at;
  };

  const consume = (text: string, isLast: boolean): void => {
    if (delimiter === undefined) {
      const end = text.indexOf("\n");
      if (end < 0 && !isLast) {
        rest = text;
        return;
      }
      delimiter = delimiterOf(end < 0 ? text : text.slice(0, end)).charCodeAt(0);
    }
    let from = 0;
    while (from < text.length) {
      const next = readRow(text, from, isLast, delimiter);
      if (next < 0) break;
      from = next;
    }
    rest = text.slice(from);
    if (rest.length > LINE_CHARS_MAX) throw malformedAt("line", line, `the row is longer than ${LINE_CHARS_MAX} characters: a quote may not be closed`);
  };

  return {
    push: (piece) => consume(rest === "" ? piece : rest + piece, false),
    end: () => consume(rest, true),
  };
}

function delimiterOf(firstLine: string): string {
  const outside = firstLine.replaceAll(/"[^"]*"/g, "");
  const counts = DELIMITERS.map((each) => outside.split(each).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ",";
}

/** White space within a line. */
function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 13;
}
