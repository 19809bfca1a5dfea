import type { DatasetFormat } from "../records.ts";
import { csvSource } from "./csv-source.ts";
import { jsonlSource } from "./jsonl-source.ts";
import { malformed } from "./malformed.ts";
import { parquetSource } from "./parquet-source.ts";
import type { RowSource, TableLimits } from "./row-source.ts";

/** Formats that hold a table. */
export type TableFormat = Extract<DatasetFormat, "csv" | "jsonl" | "parquet">;

/** Whether a format holds a table. */
export function isTableFormat(format: DatasetFormat): format is TableFormat {
  return format === "csv" || format === "jsonl" || format === "parquet";
}

/** The rows of a table in any format. */
export function tableSource(
  format: TableFormat,
  { files, missingValues, header, limits }: { files: readonly { readonly role: string; readonly path: string }[]; missingValues: readonly string[]; header?: readonly string[] | undefined; limits: TableLimits },
): RowSource {
  const path = pathOf(files, "data");
  switch (format) {
    case "csv":
      return csvSource({ path, missingValues, header, limits });
    case "jsonl":
      return jsonlSource({ path, missingValues, limits });
    case "parquet":
      return parquetSource({ path, missingValues, limits });
    default: {
      const never: never = format;
      throw new TypeError(`unknown format ${String(never)}`);
    }
  }
}

/** The file of a role. @throws StatusError `DATASET_MALFORMED` */
export function pathOf(files: readonly { readonly role: string; readonly path: string }[], role: string): string {
  const path = files.find((file) => file.role === role)?.path;
  if (path === undefined) throw malformed(role, "the file is missing");
  return path;
}
