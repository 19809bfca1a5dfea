import { malformedAt, shown, tooLarge } from "./malformed.ts";
import type { Cell, RowSource, TableLimits } from "./row-source.ts";
import { textLines } from "./text-pieces.ts";

/** Rows of JSON objects, one a line. Blank lines do not count; a field that an object lacks, or null, is missing. */
export function jsonlSource({ path, missingValues, limits }: { path: string; missingValues: readonly string[]; limits: TableLimits }): RowSource {
  return {
    unit: "line",
    async read(sink) {
      const missing = new Set(["", ...missingValues]);
      const names: string[] = [];
      const indices = new Map<string, number>();
      let count = 0;
      for await (const { text, line } of textLines(path)) {
        if (text.trim() === "") continue;
        if (++count > limits.rowsMax) throw tooLarge(`the table has more than ${limits.rowsMax} rows`, "SERVABLE_DATASET_ROWS_MAX");
        const object = parseObject(text);
        if (typeof object === "string") {
          if (count === 1 && text.trimStart().startsWith("[")) throw malformedAt("line", line, "the file begins with a list: write one JSON object a line (JSONL)");
          sink.bad(line, object);
          continue;
        }
        const cells: Cell[] = new Array<Cell>(names.length).fill(undefined);
        let reason: string | undefined;
        let added = false;
        for (const [field, value] of Object.entries(object)) {
          if (typeof value === "object" && value !== null) {
            reason = `field ${shown(field)} holds ${Array.isArray(value) ? "a list" : "an object"}: only texts, numbers, true, false and null make a column`;
            break;
          }
          let index = indices.get(field);
          if (index === undefined) {
            if (names.length >= limits.columnsMax) throw tooLarge(`line ${line}: the table has more than ${limits.columnsMax} columns`, "SERVABLE_DATASET_COLUMNS_MAX");
            if (field.trim() === "") {
              reason = "a field has no name";
              break;
            }
            index = names.push(field) - 1;
            indices.set(field, index);
            added = true;
          }
          if (typeof value === "string") {
            const trimmed = value.trim();
            cells[index] = missing.has(trimmed) ? undefined : trimmed;
          } else cells[index] = value === null ? undefined : (value as number | boolean);
        }
        if (added) sink.columns(names);
        if (reason === undefined) sink.row(cells, line);
        else sink.bad(line, reason);
      }
    },
  };
}

/** The object of a line, or what is wrong with it. */
export function parseObject(text: string): Record<string, unknown> | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    return "the line holds no JSON object";
  } catch (error) {
    return `the line is no JSON (${(error as Error).message.replaceAll(/\s+/g, " ").slice(0, 80)})`;
  }
}
