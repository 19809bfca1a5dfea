import { StatusError } from "@servable/errors";
import type { ColumnKind } from "../records.ts";
import { BadRows } from "./bad-rows.ts";
import { problemOf } from "./cells.ts";
import { GrowingArray, columnBuilder, type ColumnBuilder } from "./column-builder.ts";
import type { DatasetInput, OpenOptions, TableSet } from "./dataset-table.ts";
import type { RowSource } from "./row-source.ts";

/**
 * Reads the rows of a table into typed columns. A row that was left out at the upload is left out again, for the same reason:
 * also columns that are not wanted are checked, so that a row has the same number whatever is read of it.
 *
 * @throws StatusError `DATASET_MALFORMED`, `FIELD_INVALID`
 */
export async function readTable(source: RowSource, { columns, skipBadRows = false }: DatasetInput, { only, readAs, signal }: OpenOptions): Promise<TableSet> {
  const kinds = new Map(columns.map(({ name, kind }) => [name, kind]));
  const unknown = only?.find((name) => !kinds.has(name));
  if (unknown !== undefined) throw noColumn(unknown, [...kinds.keys()]);
  const bad = new BadRows(skipBadRows);
  const places = new GrowingArray((length) => new Float64Array(length));
  const builders = new Map<string, ColumnBuilder>();
  for (const { name, kind: own } of columns) {
    const kind = readAs?.[name] ?? own;
    if (kind !== "ignored" && (only?.includes(name) ?? true)) builders.set(name, columnBuilder(name, kind));
  }
  let read: { name: string; kind: ColumnKind | undefined; builder: ColumnBuilder | undefined }[] = [];
  let absent: ColumnBuilder[] = [];
  await source.read({
    columns(names) {
      read = names.map((name) => ({ name, kind: kinds.get(name), builder: builders.get(name) }));
      // Columns that come later in the file are missing until then.
      absent = [...builders].filter(([name]) => !names.includes(name)).map(([, builder]) => builder);
    },
    row(cells, place) {
      signal?.throwIfAborted();
      for (const [index, { name, kind }] of read.entries()) {
        const problem = problemOf(cells[index], kind);
        if (problem !== undefined) return bad.add(`${source.unit} ${place}`, `column ${index + 1} ("${name}"): ${problem}`);
      }
      for (const [index, { builder }] of read.entries()) builder?.add(cells[index]);
      for (const builder of absent) builder.add(undefined);
      places.push(place);
    },
    bad: (place, reason) => bad.add(`${source.unit} ${place}`, reason),
  });
  bad.finish();
  const data = [...builders.values()].map((builder) => builder.finish());
  const placeOf = places.finish();
  return {
    kind: "table",
    rowCount: placeOf.length,
    columns: data,
    column(name) {
      const column = data.find((each) => each.name === name);
      if (column === undefined) throw noColumn(name, data.map((each) => each.name));
      return column;
    },
    placeOf: (row) => `${source.unit} ${placeOf[row]}`,
  };
}

function noColumn(name: string, names: readonly string[]): StatusError {
  return new StatusError("FIELD_INVALID", `there is no column "${name}"; the data set has ${names.slice(0, 20).join(", ")}`, { metadata: { field: "column" } });
}
