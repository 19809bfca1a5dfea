// Which rows a task learns from, and what is refused before the first step because no step could help.

import { StatusError } from "@servable/errors";
import { PART, randomSplit, rowsOfSplit, stratifiedSplit, type RowsOfSplit } from "@servable/preprocessing";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";

/** What dividing rows needs to know. */
export interface RowDivision {
  readonly rowCount: number;
  /** Parts as the data set's stored split has them, one byte a row; absent = drawn by the seed. */
  readonly split?: Uint8Array | undefined;
  /** Class of each row; -1 = the row teaches nothing and is left out. Absent = all rows are alike. */
  readonly classes?: Int32Array | undefined;
  /** Whether all parts should have the classes' shares. @default true where there are classes */
  readonly stratify?: boolean | undefined;
}

/**
 * Divides the rows that have a target. A seed gives the same division everywhere.
 *
 * @throws StatusError `TARGET_UNSUITABLE` when no row is left, `FIELD_INVALID` naming batch_size when a batch needs more rows than there are
 */
export function divideRows({ rowCount, split, classes, stratify = true }: RowDivision, spec: Pick<TrainingSpecRecord, "seed" | "validationFraction" | "batchSize">): RowsOfSplit {
  const usable = (row: number): boolean => classes === undefined || (classes[row] ?? -1) >= 0;
  const kept = Uint32Array.from({ length: rowCount }, (_, row) => row).filter(usable);
  if (kept.length === 0) throw new StatusError("TARGET_UNSUITABLE", "no row has a target: choose another target, or fill it", { metadata: { field: "training_job.spec.target_column" } });
  const parts = split === undefined ? drawn(kept, classes, stratify, spec) : rowsOfSplit(Uint8Array.from(split, (part, row) => (usable(row) ? part : PART.none)));
  checkBatchSize(parts.training.length, spec);
  return parts;
}

/** @throws StatusError `FIELD_INVALID` when there are fewer rows than one batch has */
export function checkBatchSize(trainingRowCount: number, { batchSize }: Pick<TrainingSpecRecord, "batchSize">, what = "rows"): void {
  if (trainingRowCount === 0) throw invalid("split", `leaves no ${what} to train on: take another one`);
  // Sets smaller than the default batch are one batch: nobody asked for more.
  if (batchSize > trainingRowCount && batchSize > BATCH_SIZE_DEFAULT) throw invalid("batch_size", `is ${batchSize}, and only ${trainingRowCount} ${what} are trained on: take at most that many`);
}

const BATCH_SIZE_DEFAULT = 32;

function drawn(kept: Uint32Array, classes: Int32Array | undefined, stratify: boolean, { seed, validationFraction }: Pick<TrainingSpecRecord, "seed" | "validationFraction">): RowsOfSplit {
  const shares = { validationFraction: kept.length === 1 ? 0 : validationFraction, testFraction: 0 };
  const assignment = classes !== undefined && stratify ? stratifiedSplit(Int32Array.from(kept, (row) => classes[row] ?? -1), shares, seed) : randomSplit(kept.length, shares, seed);
  const parts = rowsOfSplit(assignment);
  const rows = (indices: Uint32Array): Uint32Array => indices.map((index) => kept[index] ?? 0);
  return { training: rows(parts.training), validation: rows(parts.validation), test: rows(parts.test) };
}

/** An error that names a field of the job. */
export function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.${field} ${problem}`, { metadata: { field: `training_job.spec.${field}` } });
}
