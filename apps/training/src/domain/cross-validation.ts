import { StatusError } from "@servable/errors";
import type { DatasetRecord } from "./records.ts";
import type { CrossValidationRecord, FoldRecord } from "./training-spec-record.ts";

/** Folds of one pass: each is a training of its own. */
export const FOLD_COUNT_MAX = 20;
/** Passes with other permutations. */
export const REPEAT_COUNT_MAX = 10;

/** How many trainings a cross-validation takes. */
export function foldTotal({ foldCount, repeatCount }: CrossValidationRecord): number {
  return foldCount * repeatCount;
}

/**
 * Checks a cross-validation against its data set, as far as that is known without reading the rows.
 *
 * @param field path of the message, for errors
 * @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field
 */
export function checkCrossValidation(field: string, said: CrossValidationRecord, dataset: DatasetRecord): CrossValidationRecord {
  const invalid = (name: string, problem: string): StatusError => new StatusError("FIELD_INVALID", `${field}.${name} ${problem}`, { metadata: { field: `${field}.${name}` } });
  const { kind, foldCount, repeatCount, column, gap } = said;
  if (!Number.isInteger(foldCount) || foldCount < 2 || foldCount > FOLD_COUNT_MAX) throw invalid("fold_count", `is ${foldCount}, it must be from 2 to ${FOLD_COUNT_MAX}`);
  if (foldCount > dataset.rowCount) throw invalid("fold_count", `is ${foldCount} and the data set has ${dataset.rowCount} rows: ask for fewer folds`);
  if (!Number.isInteger(repeatCount) || repeatCount < 1 || repeatCount > REPEAT_COUNT_MAX) throw invalid("repeat_count", `is ${repeatCount}, it must be from 1 to ${REPEAT_COUNT_MAX}`);
  if (repeatCount > 1 && (kind === "group" || kind === "time_series")) throw invalid("repeat_count", "is for K_FOLD and STRATIFIED: the others have one way to divide rows");
  if (gap < 0 || (gap > 0 && kind !== "time_series")) throw invalid("gap", "is for TIME_SERIES and must not be negative");
  if (kind === "group" && column === "") throw new StatusError("FIELD_REQUIRED", `${field}.column is required: which column tells the groups apart?`, { metadata: { field: `${field}.column` } });
  if (column !== "" && kind !== "group" && kind !== "time_series") throw invalid("column", "is for GROUP and TIME_SERIES: leave it empty");
  const known = dataset.columns.find(({ name }) => name === column);
  if (column !== "" && (known === undefined || known.kind === "ignored")) {
    throw invalid("column", `"${column.slice(0, 100)}" is no column that is read: the data set has ${dataset.columns.filter((each) => each.kind !== "ignored").map(({ name }) => `"${name}"`).slice(0, 20).join(", ")}`);
  }
  return said;
}

/** Checks one fold. @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field */
export function checkFold(field: string, fold: FoldRecord, dataset: DatasetRecord): FoldRecord {
  checkCrossValidation(`${field}.cross_validation`, fold.crossValidation, dataset);
  const total = foldTotal(fold.crossValidation);
  if (!Number.isInteger(fold.index) || fold.index < 0 || fold.index >= total) {
    throw new StatusError("FIELD_INVALID", `${field}.index is ${fold.index}, it must be from 0 to ${total - 1}`, { metadata: { field: `${field}.index` } });
  }
  return fold;
}
