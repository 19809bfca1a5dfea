import Papa from "papaparse";
import { StatusError } from "@servable/errors";

/** Rows of a table as texts; undefined = missing. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly (string | undefined)[])[];
  /** Line on which each row begins. */
  readonly lines: readonly number[];
}

/** Bounds of a table. */
export interface TableLimits {
  readonly rowsMax: number;
  readonly columnsMax: number;
}

/**
 * Reads comma-separated values by RFC 4180 with a header line. Cells are trimmed; empty ones and `missingValues` are missing.
 *
 * @throws StatusError `DATASET_MALFORMED` with line and column, `DATASET_TOO_LARGE`
 */
export function readCsv(bytes: Uint8Array, missingValues: readonly string[], limits: TableLimits): Table {
  // One kind of line end, so that files stitched together from two systems are read like others.
  const text = decode(bytes).replaceAll("\r\n", "\n");
  const missing = new Set(["", ...missingValues]);
  let header: string[] | undefined;
  const rows: (string | undefined)[][] = [];
  const rowLines: number[] = [];
  const lineAt = lineCounter(text);
  let rowStart = 0;
  let failure: StatusError | undefined;
  Papa.parse<string[]>(text, {
    delimiter: ",",
    newline: "\n",
    skipEmptyLines: false,
    step: ({ data, errors, meta }, parser) => {
      const line = lineAt(rowStart);
      rowStart = meta.cursor;
      try {
        if (errors[0] !== undefined) throw malformed(line, undefined, errors[0].type === "Quotes" ? "a quote is not closed, or text follows its end" : errors[0].message);
        const cells = data.map((cell) => cell.trim());
        if (cells.length === 1 && cells[0] === "") return;
        if (header === undefined) header = checkHeader(cells, line, limits);
        else {
          rows.push(checkRow(cells, header, line, missing, rows.length, limits));
          rowLines.push(line);
        }
      } catch (error) {
        failure = error as StatusError;
        parser.abort();
      }
    },
  });
  if (failure !== undefined) throw failure;
  if (header === undefined) throw malformed(1, undefined, "the file is empty: a header line and rows are needed");
  if (rows.length === 0) throw malformed(2, undefined, "there are no rows below the header");
  return { header, rows, lines: rowLines };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Find the line: people need it more than the offset.
    let line = 1;
    for (let start = 0; start < bytes.length; line++) {
      const end = bytes.indexOf(0x0a, start);
      const stop = end < 0 ? bytes.length : end;
      try {
        new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, stop));
      } catch {
        break;
      }
      start = stop + 1;
    }
    throw malformed(line, undefined, "the bytes are no UTF-8: save the file as UTF-8");
  }
}

function checkHeader(cells: string[], line: number, { columnsMax }: TableLimits): string[] {
  if (cells.length > columnsMax) throw new StatusError("DATASET_TOO_LARGE", `the table has ${cells.length} columns, at most ${columnsMax} are allowed`);
  const empty = cells.indexOf("");
  if (empty >= 0) throw malformed(line, empty + 1, "the header has no name there");
  const twice = cells.find((name, index) => cells.indexOf(name) !== index);
  if (twice !== undefined) throw malformed(line, cells.lastIndexOf(twice) + 1, `the header names "${twice}" twice`);
  return cells;
}

function checkRow(cells: string[], header: readonly string[], line: number, missing: ReadonlySet<string>, rowCount: number, { rowsMax }: TableLimits): (string | undefined)[] {
  if (rowCount >= rowsMax) throw new StatusError("DATASET_TOO_LARGE", `the table has more than ${rowsMax} rows`);
  if (cells.length !== header.length) throw malformed(line, Math.min(cells.length, header.length) + 1, `the row has ${cells.length} cells, the header ${header.length}`);
  return cells.map((cell) => (missing.has(cell) ? undefined : cell));
}

/** Line of a character offset; offsets must not go back. */
function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let at = 0;
  return (offset) => {
    for (; at < offset; at++) if (text.charCodeAt(at) === 10) line++;
    return line;
  };
}

function malformed(line: number, column: number | undefined, what: string): StatusError {
  const where = column === undefined ? `line ${line}` : `line ${line}, column ${column}`;
  return new StatusError("DATASET_MALFORMED", `${where}: ${what}; nothing was kept`, { metadata: { line: String(line), ...(column === undefined ? {} : { column: String(column) }) } });
}
