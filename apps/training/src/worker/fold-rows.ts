import { StatusError } from "@servable/errors";
import { PART } from "@servable/preprocessing";
import { groupKFold, kFold, stratifiedKFold, timeSeriesFolds, type Fold } from "@servable/tuning";
import type { OpenedDataset, SplitRows } from "../domain/dataset-reader/dataset-table.ts";
import type { CrossValidationRecord, FoldRecord, TrainingSpecRecord } from "../domain/training-spec-record.ts";

/**
 * The rows of one fold of a cross-validation. The same data, seed and kind give the same folds in every process, so that
 * the trials of a study are judged by the same rows without anybody storing them.
 *
 * @param fold of the specification
 * @param parts the stored split's part of each row, if the specification names one: its test rows stay aside in every fold
 * @throws StatusError `FIELD_INVALID` when the rows cannot be divided so, with what they have
 */
export function foldRows(dataset: OpenedDataset, spec: Pick<TrainingSpecRecord, "targetColumn" | "positiveClass">, fold: FoldRecord, parts?: Uint8Array): SplitRows {
  const { crossValidation, seed } = fold;
  const all = Uint32Array.from({ length: dataset.rowCount }, (_, row) => row);
  const rows = parts === undefined ? all : all.filter((row) => parts[row] === PART.training || parts[row] === PART.validation);
  const repeat = Math.floor(fold.index / crossValidation.foldCount);
  const { training, validation } = dividedRows({ dataset, rows }, spec, crossValidation, seed + repeat)[fold.index % crossValidation.foldCount] as Fold;
  const rowsAt = (places: Uint32Array): Uint32Array => places.map((place) => rows[place] as number);
  return { training: rowsAt(training), validation: rowsAt(validation), test: all.filter((row) => parts?.[row] === PART.test) };
}

/** Rows of a data set; folds are made of their places in `rows`. */
interface DividedRows {
  readonly dataset: OpenedDataset;
  readonly rows: Uint32Array;
}

function dividedRows(divided: DividedRows, spec: Pick<TrainingSpecRecord, "targetColumn" | "positiveClass">, { kind, foldCount, column, gap }: CrossValidationRecord, seed: number): Fold[] {
  const options = { folds: foldCount, seed };
  const { length } = divided.rows;
  switch (kind) {
    case "k_fold":
      return kFold(length, options);
    case "stratified":
    case undefined: {
      const classes = classesOf(divided, spec.targetColumn);
      if (classes !== undefined) return stratifiedKFold(classes, options);
      if (kind === undefined) return kFold(length, options);
      throw invalid("kind", "STRATIFIED needs classes to keep the shares of, and the target is a number or a text: use K_FOLD");
    }
    case "group":
      return groupKFold(groupsOf(divided, column), { folds: foldCount });
    case "time_series":
      return timeSeriesFolds(column === "" ? length : timesOf(divided, column), { folds: foldCount, gap });
    default: {
      const never: never = kind;
      return never;
    }
  }
}

/** A class for each row; undefined where no classes are predicted. */
function classesOf({ dataset, rows }: DividedRows, targetColumn: string): Uint32Array | undefined {
  if (dataset.kind === "images") return rows.map((row) => dataset.labels[row] as number);
  if (dataset.kind !== "table" || targetColumn === "") return undefined;
  const column = dataset.column(targetColumn);
  // A missing class is one of its own here; whether it may be learned is the task's to say.
  return column.kind === "categorical" || column.kind === "boolean" ? rows.map((row) => (column.codes[row] as number) + 1) : undefined;
}

/** A number for each distinct value; a row without one is a group of its own. */
function groupsOf({ dataset, rows }: DividedRows, name: string): Int32Array {
  const column = tableColumn(dataset, name);
  const groups = new Map<unknown, number>();
  return Int32Array.from(rows, (row) => {
    const value = column.kind === "text" ? column.text(row) : column.kind === "numeric" || column.kind === "datetime" ? column.values[row] : column.codes[row];
    const missing = value === undefined || (typeof value === "number" && (Number.isNaN(value) || (value === -1 && "codes" in column)));
    const key = missing ? `row ${row}` : value;
    const known = groups.get(key) ?? groups.size;
    groups.set(key, known);
    return known;
  });
}

function timesOf({ dataset, rows }: DividedRows, name: string): Float64Array {
  const column = tableColumn(dataset, name);
  if (column.kind !== "numeric" && column.kind !== "datetime") throw invalid("column", `"${name}" is ${column.kind}: TIME_SERIES needs numbers or moments`);
  const missing = rows.find((row) => Number.isNaN(column.values[row]));
  if (missing !== undefined) throw invalid("column", `"${name}" has no value in ${dataset.kind === "table" ? dataset.placeOf(missing) : `row ${missing + 1}`}: every row needs its time`);
  return Float64Array.from(rows, (row) => column.values[row] as number);
}

function tableColumn(dataset: OpenedDataset, name: string) {
  if (dataset.kind !== "table") throw invalid("column", `"${name}" is a column of a table, and the data set holds ${dataset.kind}`);
  return dataset.column(name);
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.fold.cross_validation.${field} ${problem}`, { metadata: { field: `training_job.spec.fold.cross_validation.${field}` } });
}
