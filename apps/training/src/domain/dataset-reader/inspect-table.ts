import { StatusError } from "@servable/errors";
import type { Inspection, InspectionRequest } from "../dataset-inspector.ts";
import type { ColumnKind } from "../records.ts";
import { BadRows } from "./bad-rows.ts";
import { problemOf } from "./cells.ts";
import { ColumnProfile } from "./column-profile.ts";
import type { RowSource } from "./row-source.ts";

/** Reads a table once and describes its columns; memory does not grow with the rows. */
export async function inspectTable(source: RowSource, { columns: overrides, skipBadRows }: Pick<InspectionRequest, "columns" | "skipBadRows">): Promise<Inspection> {
  const stated = new Map(overrides.map(({ name, kind }) => [name, kind]));
  const bad = new BadRows(skipBadRows);
  const profiles: ColumnProfile[] = [];
  const kinds: (ColumnKind | undefined)[] = [];
  let rowCount = 0;
  let place = 0;
  const placeOf = (): string => `${source.unit} ${place}`;
  await source.read({
    columns(names) {
      for (const name of names.slice(profiles.length)) {
        const kind = stated.get(name);
        const profile = new ColumnProfile(name, kind);
        kinds.push(kind);
        profile.addMissing(rowCount);
        profiles.push(profile);
      }
    },
    row(cells, at) {
      place = at;
      for (let index = 0; index < profiles.length; index++) {
        const problem = problemOf(cells[index], kinds[index]);
        if (problem !== undefined) return bad.add(placeOf(), `column ${index + 1} ("${profiles[index]?.name}"): ${problem}`);
      }
      rowCount++;
      for (let index = 0; index < profiles.length; index++) (profiles[index] as ColumnProfile).add(cells[index], placeOf);
    },
    bad: (at, reason) => bad.add(`${source.unit} ${at}`, reason),
  });
  const unknown = overrides.find(({ name }) => profiles.every((profile) => profile.name !== name));
  if (unknown !== undefined) {
    throw new StatusError("FIELD_INVALID", `dataset.columns: there is no column "${unknown.name}"; the data has ${profiles.map(({ name }) => name).slice(0, 20).join(", ")}`, { metadata: { field: "dataset.columns" } });
  }
  const skippedRows = bad.finish();
  if (rowCount === 0) throw new StatusError("DATASET_MALFORMED", `${source.unit} 1: there are no rows${source.unit === "line" ? " below the header" : ""}; nothing was kept`);
  return {
    rowCount,
    columns: profiles.map((profile) => profile.finish()),
    imageShape: [],
    labelClasses: [],
    labelClassCounts: [],
    skippedRows,
    warnings: profiles.flatMap((profile) => profile.warnings()).slice(0, 100),
  };
}
