import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { rowsOfSplit } from "@servable/preprocessing";
import type { SplitRows } from "./dataset-table.ts";
import { malformed } from "./malformed.ts";

/** Reads a stored split: one byte a row. @throws StatusError `DATASET_MALFORMED` when the file is another one, or of other rows */
export async function readSplit({ path, sha256 }: { readonly path: string; readonly sha256: string }, rowCount: number): Promise<SplitRows> {
  const assignment = await readFile(path);
  if (createHash("sha256").update(assignment).digest("hex") !== sha256) throw malformed("split", "the stored split has other bytes than its digest says");
  if (assignment.length !== rowCount) throw malformed("split", `the split is of ${assignment.length} rows and the data set has ${rowCount}: make a split of this version`);
  return rowsOfSplit(assignment);
}
