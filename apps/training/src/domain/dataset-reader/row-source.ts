/** A value as a file holds it; undefined = missing. */
export type Cell = string | number | boolean | Date | undefined;

/** Takes the rows of a table, one after the other. */
export interface RowSink {
  /** Names of the columns: before the first row, and again where a later row brings more (they stand behind the others). */
  columns(names: readonly string[]): void;
  /** A row; columns that came later than the row are missing in it. `place` counts from 1, in the source's unit. */
  row(cells: readonly Cell[], place: number): void;
  /** A row that cannot be read. */
  bad(place: number, reason: string): void;
}

/** A file that holds a table. Rows are handed over as they are read: no more than a piece of the file is in memory. */
export interface RowSource {
  /** What places count. */
  readonly unit: "line" | "row";
  /** @throws StatusError `DATASET_MALFORMED` where the file as a whole cannot be read, `DATASET_TOO_LARGE` */
  read(sink: RowSink): Promise<void>;
}

/** Bounds of a table. */
export interface TableLimits {
  readonly rowsMax: number;
  readonly columnsMax: number;
}
