import { createHash } from "node:crypto";
import { checkText } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { ColumnKind, DatasetFileRecord, DatasetFormat } from "./records.ts";

/** How files are to be read. */
export interface DatasetReading {
  readonly description: string;
  /** Kinds of columns that are not to be inferred. */
  readonly columns: readonly { readonly name: string; readonly kind: ColumnKind }[];
  readonly missingValues: readonly string[];
  readonly header: readonly string[];
  readonly skipBadRows: boolean;
  /** Stated size of pictures; empty = chosen. */
  readonly imageShape: readonly number[];
}

/** The head of an upload. */
export interface DatasetHead extends DatasetReading {
  readonly parent: string;
  readonly datasetId: string;
  readonly format: DatasetFormat | undefined;
  /** Whether the data set may exist and gets another version. */
  readonly newVersion: boolean;
}

const TABLES: readonly DatasetFormat[] = ["csv", "jsonl", "parquet"];
const MISSING_VALUES_MAX = 100;

/** Checks what a caller says of a data set. @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field within `prefix` */
export function checkReading(prefix: string, format: DatasetFormat | undefined, { description, columns, missingValues, header, imageShape }: DatasetReading): DatasetFormat {
  const invalid = (field: string, problem: string): StatusError => new StatusError("FIELD_INVALID", `${prefix}.${field} ${problem}`, { metadata: { field: `${prefix}.${field}` } });
  if (format === undefined) {
    throw new StatusError("FIELD_REQUIRED", `${prefix}.format is required: FORMAT_CSV, FORMAT_JSONL, FORMAT_PARQUET, FORMAT_IDX, FORMAT_NPY, FORMAT_NPZ, FORMAT_IMAGE_ZIP, FORMAT_TEXT or FORMAT_CHAT`, { metadata: { field: `${prefix}.format` } });
  }
  checkText(`${prefix}.description`, description, 10_000);
  if (missingValues.length > MISSING_VALUES_MAX) throw invalid("missing_values", `has ${missingValues.length} entries, at most ${MISSING_VALUES_MAX} are allowed`);
  for (const value of missingValues) checkText(`${prefix}.missing_values`, value, 100);
  if (!TABLES.includes(format) && columns.length > 0) throw invalid("columns", "only tables have columns: leave it empty");
  if (format !== "csv" && header.length > 0) throw invalid("header", "only a CSV may lack its header line: leave it empty");
  if (format !== "image_zip" && imageShape.length > 0) throw invalid("image_shape", "only the pictures of a zip are brought to a size: leave it empty");
  return format;
}

/**
 * One digest for a version: "sha256:…" over the sorted lines "role sha256", and over how the files are read where that was
 * said: the same bytes read in another way are other data.
 */
export function datasetDigest(files: readonly DatasetFileRecord[], { columns, missingValues, header, skipBadRows, imageShape }: DatasetReading): string {
  const lines = files.map(({ role, sha256 }) => `${role} ${sha256}\n`).sort();
  const said = [columns.map(({ name, kind }) => [name, kind]).sort(), [...missingValues], [...header], skipBadRows, [...imageShape]];
  if (columns.length + missingValues.length + header.length + imageShape.length > 0 || skipBadRows) lines.push(`reading ${createHash("sha256").update(JSON.stringify(said)).digest("hex")}\n`);
  return `sha256:${createHash("sha256").update(lines.join("")).digest("hex")}`;
}
