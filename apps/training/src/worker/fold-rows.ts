import { StatusError } from "@servable/errors";
import { groupKFold, kFold, stratifiedKFold, timeSeriesFolds, type Fold } from "@servable/tuning";
import type { OpenedDataset, SplitRows } from "../domain/dataset-reader/dataset-table.ts";
import type { CrossValidationRecord, FoldRecord, TrainingSpecRecord } from "../domain/training-spec-record.ts";

/**
 * The rows of one fold of a cross-validation. The same data, seed and kind give the same folds in every process, so that
 * the trials of a study are judged by the same rows without anybody storing them.
 *
 * @param fold of the specification
 * @throws StatusError `FIELD_INVALID` when the rows cannot be divided so, with what they have
 */
export function foldRows(dataset: OpenedDataset, spec: Pick<TrainingSpecRecord, "targetColumn" | "positiveClass">, fold: FoldRecord): SplitRows {
  const { crossValidation, seed } = fold;
  const repeat = Math.floor(fold.index / crossValidation.foldCount);
  const folds = dividedRows(dataset, spec, crossValidation, seed + repeat);
  const { training, validation } = folds[fold.index % crossValidation.foldCount] as Fold;
  return { training, validation, test: new Uint32Array() };
}

function dividedRows(dataset: OpenedDataset, spec: Pick<TrainingSpecRecord, "targetColumn" | "positiveClass">, { kind, foldCount, column, gap }: CrossValidationRecord, seed: number): Fold[] {
  const options = { folds: foldCount, seed };
  switch (kind) {
    case "k_fold":
      return kFold(dataset.rowCount, options);
    case "stratified":
    case undefined: {
      const classes = classesOf(dataset, spec.targetColumn);
      if (classes !== undefined) return stratifiedKFold(classes, options);
      if (kind === undefined) return kFold(dataset.rowCount, options);
      throw invalid("kind", "STRATIFIED needs classes to keep the shares of, and the target is a number or a text: use K_FOLD");
    }
    case "group":
      return groupKFold(codesOf(dataset, column), { folds: foldCount });
    case "time_series":
      return timeSeriesFolds(column === "" ? dataset.rowCount : timesOf(dataset, column), { folds: foldCount, gap });
    default: {
      const never: never = kind;
      return never;
    }
  }
}

/** A class for each row; undefined where no classes are predicted. */
function classesOf(dataset: OpenedDataset, targetColumn: string): ArrayLike<number> | undefined {
  if (dataset.kind === "images") return dataset.labels;
  if (dataset.kind !== "table" || targetColumn === "") return undefined;
  const column = dataset.column(targetColumn);
  return column.kind === "categorical" || column.kind === "boolean" ? column.codes : undefined;
}

/** A number for each distinct value; a row without one is a group of its own. */
function codesOf(dataset: OpenedDataset, name: string): Int32Array {
  const column = tableColumn(dataset, name);
  const codes = new Map<unknown, number>();
  return Int32Array.from({ length: dataset.rowCount }, (_, row) => {
    const value = column.kind === "text" ? column.text(row) : column.kind === "numeric" || column.kind === "datetime" ? column.values[row] : column.codes[row];
    const missing = value === undefined || value === -1 || (typeof value === "number" && Number.isNaN(value));
    const key = missing ? `row ${row}` : value;
    const known = codes.get(key) ?? codes.size;
    codes.set(key, known);
    return known;
  });
}

function timesOf(dataset: OpenedDataset, name: string): Float64Array {
  const column = tableColumn(dataset, name);
  if (column.kind !== "numeric" && column.kind !== "datetime") throw invalid("column", `"${name}" is ${column.kind}: TIME_SERIES needs numbers or moments`);
  const missing = column.values.findIndex(Number.isNaN);
  if (missing >= 0) throw invalid("column", `"${name}" has no value in row ${missing + 1}: every row needs its time`);
  return Float64Array.from(column.values);
}

function tableColumn(dataset: OpenedDataset, name: string) {
  if (dataset.kind !== "table") throw invalid("column", `"${name}" is a column of a table, and the data set holds ${dataset.kind}`);
  return dataset.column(name);
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.fold.cross_validation.${field} ${problem}`, { metadata: { field: `training_job.spec.fold.cross_validation.${field}` } });
}
