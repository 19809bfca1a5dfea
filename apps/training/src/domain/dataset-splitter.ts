import type { DatasetInput } from "./dataset-reader/dataset-table.ts";
import type { SplitRecord } from "./records.ts";

/** How rows are to be divided. */
export type SplitDraft = Pick<SplitRecord, "method" | "column" | "validationFraction" | "testFraction" | "seed">;

/**
 * Reads of a data set what a split looks at, and divides its rows: one byte a row (0 training, 1 validation, 2 test, 3 none).
 *
 * @throws StatusError `FIELD_INVALID`, `SPLIT_IMPOSSIBLE`
 */
export type DatasetSplitter = (dataset: DatasetInput & { readonly rowCount: number }, split: SplitDraft, signal: AbortSignal) => Promise<Uint8Array>;
