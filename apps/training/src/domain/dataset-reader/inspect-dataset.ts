import { readFile } from "node:fs/promises";
import { StatusError } from "@servable/errors";
import { CATEGORIES_MAX, byFrequency } from "@servable/preprocessing";
import type { DatasetInspector, Inspection, InspectionRequest } from "../dataset-inspector.ts";
import type { ColumnKind, ColumnRecord } from "../records.ts";
import { readCsv } from "./csv.ts";
import { readImages } from "./images.ts";

/** Columns with more distinct texts than this share of the rows are names or free text, not categories. */
const CATEGORIES_SHARE_MAX = 0.5;
const CATEGORIES_ALWAYS = 20;

/** Reads a data set of any format once and describes it. */
export const inspectDataset: DatasetInspector = async (request) => (request.format === "csv" ? inspectTable(request) : inspectImages(request));

function inspectImages({ format, files, limits, columns }: InspectionRequest): Inspection {
  if (columns.length > 0) throw new StatusError("FIELD_INVALID", "dataset.columns: images have no columns", { metadata: { field: "dataset.columns" } });
  const { count, shape, classes } = readImages(format === "npy" ? "npy" : "idx", files, limits.rowsMax);
  return { rowCount: count, columns: [], imageShape: shape, labelClasses: classes };
}

async function inspectTable({ files, columns: overrides, missingValues, limits }: InspectionRequest): Promise<Inspection> {
  const { header, rows, lines } = readCsv(await readFile(files[0]?.path ?? ""), missingValues, limits);
  const unknown = overrides.find(({ name }) => !header.includes(name));
  if (unknown !== undefined) throw new StatusError("FIELD_INVALID", `dataset.columns: there is no column "${unknown.name}"; the header has ${header.join(", ")}`, { metadata: { field: "dataset.columns" } });
  const columns = header.map((name, index) => {
    const cells = rows.map((row) => row[index]);
    const override = overrides.find((each) => each.name === name)?.kind;
    const notNumber = cells.findIndex((cell) => cell !== undefined && !isNumber(cell));
    if (override === "numeric" && notNumber >= 0) {
      throw new StatusError("DATASET_MALFORMED", `line ${lines[notNumber]}, column ${index + 1}: "${cells[notNumber]?.slice(0, 40)}" is no number that f32 holds, and "${name}" is to be numeric; nothing was kept`, { metadata: { line: String(lines[notNumber]), column: String(index + 1) } });
    }
    return describe(name, override ?? inferKind(cells), cells);
  });
  return { rowCount: rows.length, columns, imageShape: [], labelClasses: [] };
}

/** Numbers where every present cell is one; categories where texts repeat; else ignored. */
function inferKind(cells: readonly (string | undefined)[]): ColumnKind {
  const present = cells.filter((cell) => cell !== undefined);
  if (present.length === 0) return "ignored";
  if (present.every(isNumber)) return "numeric";
  const distinct = new Set(present).size;
  return distinct <= CATEGORIES_ALWAYS || (distinct <= CATEGORIES_MAX && distinct <= present.length * CATEGORIES_SHARE_MAX) ? "categorical" : "ignored";
}

function describe(name: string, kind: ColumnKind, cells: readonly (string | undefined)[]): ColumnRecord {
  const present = cells.filter((cell) => cell !== undefined);
  const numbers = kind === "numeric" ? present.map(Number) : [];
  const mean = numbers.reduce((sum, value) => sum + value, 0) / Math.max(1, numbers.length);
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, numbers.length);
  return { name, kind, missingCount: cells.length - present.length, categories: kind === "categorical" ? byFrequency(present).slice(0, CATEGORIES_MAX) : [], mean, standardDeviation: Math.sqrt(variance) };
}

/** A number that f32, in which training and serving compute, can hold. */
function isNumber(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Math.fround(Number(text)));
}
