import type { ColumnKind, ColumnRecord, DatasetFormat, SkippedRow } from "./records.ts";

/** Bounds of a data set. */
export interface DatasetLimits {
  /** Bytes of all files. */
  readonly datasetBytesMax: number;
  /** Rows of a table, or images. */
  readonly rowsMax: number;
  readonly columnsMax: number;
}

/** Files to read and what the caller said about them. */
export interface InspectionRequest {
  readonly format: DatasetFormat;
  readonly files: readonly { readonly role: string; readonly path: string }[];
  /** Kinds of columns that are not to be inferred. */
  readonly columns: readonly { readonly name: string; readonly kind: ColumnKind }[];
  readonly missingValues: readonly string[];
  /** Names of the columns of a CSV without a header line; empty = it has one. */
  readonly header: readonly string[];
  /** Whether rows that cannot be read are left out and listed. */
  readonly skipBadRows: boolean;
  /** Size that pictures are brought to, [height, width] or [height, width, channels]; empty = chosen. */
  readonly imageShape: readonly number[];
  readonly limits: DatasetLimits;
}

/** What the files hold. */
export interface Inspection {
  readonly rowCount: number;
  readonly columns: readonly ColumnRecord[];
  readonly imageShape: readonly number[];
  readonly labelClasses: readonly string[];
  readonly labelClassCounts: readonly number[];
  readonly skippedRows: readonly SkippedRow[];
  /** What is odd about the data, for people. */
  readonly warnings: readonly string[];
}

/**
 * Reads a data set once, row by row, and describes it.
 *
 * @throws StatusError `DATASET_MALFORMED` with line and column, `DATASET_TOO_LARGE`, `FIELD_INVALID`
 */
export type DatasetInspector = (request: InspectionRequest, signal: AbortSignal) => Promise<Inspection>;
