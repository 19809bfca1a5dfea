import { csvRows } from "./csv-rows.ts";
import { malformedAt, tooLarge } from "./malformed.ts";
import type { Cell, RowSource, TableLimits } from "./row-source.ts";
import { textPieces } from "./text-pieces.ts";

/** How a CSV is read. */
export interface CsvSourceOptions {
  readonly path: string;
  /** Texts that mean "missing" besides the empty one. */
  readonly missingValues: readonly string[];
  /** Names of the columns where the file has no header line. */
  readonly header?: readonly string[] | undefined;
  readonly limits: TableLimits;
}

/** The rows of a CSV with a header line, or with names given from outside. */
export function csvSource({ path, missingValues, header, limits }: CsvSourceOptions): RowSource {
  return {
    unit: "line",
    async read(sink) {
      const missing = new Set(["", ...missingValues]);
      // Most cells are told apart by their length: looking a text up means reading all of it.
      const lengthMax = Math.max(...[...missing].map((text) => text.length));
      let names = header === undefined || header.length === 0 ? undefined : checkNames(header, 1, limits);
      let count = 0;
      if (names !== undefined) sink.columns(names);
      const rows = csvRows({
        row(cells, line) {
          if (names === undefined) {
            names = checkNames(cells, line, limits);
            sink.columns(names);
            return;
          }
          if (++count > limits.rowsMax) throw tooLarge(`the table has more than ${limits.rowsMax} rows`, "SERVABLE_DATASET_ROWS_MAX");
          if (cells.length !== names.length) {
            const first = Math.min(cells.length, names.length) + 1;
            return sink.bad(line, `column ${first}: the row has ${cells.length} cells, the header ${names.length}`);
          }
          sink.row(cells.map((cell): Cell => (cell.length <= lengthMax && missing.has(cell) ? undefined : cell)), line);
        },
        bad: (line, reason) => sink.bad(line, reason),
      });
      for await (const piece of textPieces(path)) rows.push(piece);
      rows.end();
      if (names === undefined) throw malformedAt("line", 1, "the file is empty: a header line and rows are needed");
    },
  };
}

function checkNames(cells: readonly string[], line: number, { columnsMax }: TableLimits): readonly string[] {
  if (cells.length > columnsMax) throw tooLarge(`the table has ${cells.length} columns, at most ${columnsMax} are allowed`, "SERVABLE_DATASET_COLUMNS_MAX");
  const empty = cells.indexOf("");
  if (empty >= 0) throw malformedAt("line", line, `column ${empty + 1}: the header has no name there`);
  const seen = new Set<string>();
  for (const [index, name] of cells.entries()) {
    if (seen.has(name)) throw malformedAt("line", line, `column ${index + 1}: the header names "${name}" twice`);
    seen.add(name);
  }
  return cells;
}
