import { StatusError } from "@servable/errors";
import type { DatasetRecord, Family, OptimizerKind, TrainingSpecRecord } from "./records.ts";

/** A specification as the caller wrote it: 0, "" and undefined mean "not said". */
export interface TrainingSpecDraft {
  readonly targetColumn: string;
  readonly positiveClass: string;
  readonly family: Family | undefined;
  readonly hiddenUnits: readonly number[];
  readonly optimizer: OptimizerKind | undefined;
  readonly learningRate: number;
  readonly momentum: number;
  readonly epochCount: number;
  readonly batchSize: number;
  readonly validationFraction: number | undefined;
  readonly seed: bigint;
  readonly weightDecay: number;
}

/** Bounds of one job: beyond them a slip of the keyboard would occupy the service for days. */
export const SPEC_LIMITS = {
  epochCountMax: 10_000,
  batchSizeMax: 65_536,
  hiddenLayersMax: 8,
  hiddenUnitsMax: 8_192,
  learningRateMax: 100,
  validationFractionMax: 0.9,
  weightDecayMax: 10,
} as const;

const BATCH_SIZE = 32;
const EPOCHS_DEFAULT = 10;
const EPOCHS_DEFAULT_MAX = 1_000;
/** Fewer steps leave a small network where it began. */
const STEPS_MIN = 2_000;

/** The data set lists at most so many categories of a column; beyond it a class cannot be looked up. */
const CATEGORIES_LISTED_MAX = 1000;

/**
 * Checks a specification against its data set and fills in the defaults.
 *
 * @throws StatusError `FIELD_REQUIRED` and `FIELD_INVALID` naming the field, `TARGET_UNSUITABLE` when there are fewer than two classes
 */
export function resolveSpec(draft: TrainingSpecDraft, dataset: DatasetRecord): TrainingSpecRecord {
  const classes = classesOf(draft, dataset);
  if (draft.positiveClass !== "" && classes !== undefined && classes.length < CATEGORIES_LISTED_MAX && !classes.includes(draft.positiveClass)) {
    throw invalid("positive_class", `"${draft.positiveClass}" is no class of the target: it has ${listed(classes)}`);
  }
  if (draft.family === "logistic_regression" && draft.positiveClass === "" && classes !== undefined && classes.length > 2) {
    throw invalid("family", `logistic regression tells two classes apart and the target has ${classes.length}: choose softmax regression, an MLP, or a positive_class`);
  }
  const isMlp = draft.family === "mlp";
  if (!isMlp && draft.hiddenUnits.length > 0) throw invalid("hidden_units", "only an MLP has hidden layers: set family to MLP, or leave it empty");
  if (draft.hiddenUnits.length > SPEC_LIMITS.hiddenLayersMax) throw invalid("hidden_units", `has ${draft.hiddenUnits.length} layers, at most ${SPEC_LIMITS.hiddenLayersMax} are allowed`);
  const optimizer = draft.optimizer ?? "adam";
  if (optimizer === "adam" && draft.momentum !== 0) throw invalid("momentum", "only SGD has a momentum: set optimizer to SGD, or leave it 0");
  return {
    targetColumn: draft.targetColumn,
    positiveClass: draft.positiveClass,
    family: draft.family,
    hiddenUnits: isMlp && draft.hiddenUnits.length === 0 ? [128] : draft.hiddenUnits.map((units) => within("hidden_units", units, 1, SPEC_LIMITS.hiddenUnitsMax)),
    optimizer,
    learningRate: draft.learningRate === 0 ? (optimizer === "adam" && isMlp ? 0.001 : 0.01) : within("learning_rate", draft.learningRate, Number.MIN_VALUE, SPEC_LIMITS.learningRateMax, "above 0"),
    momentum: within("momentum", draft.momentum, 0, 1),
    epochCount: draft.epochCount === 0 ? defaultEpochs(dataset.rowCount, draft.batchSize) : within("epoch_count", draft.epochCount, 1, SPEC_LIMITS.epochCountMax),
    batchSize: draft.batchSize === 0 ? BATCH_SIZE : within("batch_size", draft.batchSize, 1, SPEC_LIMITS.batchSizeMax),
    validationFraction: draft.validationFraction === undefined ? 0.2 : within("validation_fraction", draft.validationFraction, 0, SPEC_LIMITS.validationFractionMax),
    seed: within("seed", Number(draft.seed), 0, Number.MAX_SAFE_INTEGER),
    weightDecay: within("weight_decay", draft.weightDecay, 0, SPEC_LIMITS.weightDecayMax),
  };
}

/** Ten passes teach a large data set; a small one is gone through as often as makes {@link STEPS_MIN} steps. */
function defaultEpochs(rowCount: number, batchSize: number): number {
  const stepsPerEpoch = Math.max(1, Math.ceil(rowCount / (batchSize === 0 ? BATCH_SIZE : batchSize)));
  return Math.min(EPOCHS_DEFAULT_MAX, Math.max(EPOCHS_DEFAULT, Math.ceil(STEPS_MIN / stepsPerEpoch)));
}

/** The target's classes; undefined for a numeric column, whose distinct values only the trainer sees. */
function classesOf({ targetColumn }: TrainingSpecDraft, dataset: DatasetRecord): readonly string[] | undefined {
  if (dataset.format !== "csv") {
    if (targetColumn !== "") throw invalid("target_column", "images are predicted by their labels: leave it empty");
    return suitable(dataset.labelClasses, "the labels");
  }
  const usable = dataset.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
  if (targetColumn === "") {
    throw new StatusError("FIELD_REQUIRED", `training_job.spec.target_column is required: one of ${listed(usable)}`, { metadata: { field: "training_job.spec.target_column" } });
  }
  const column = dataset.columns.find(({ name }) => name === targetColumn);
  if (column === undefined || column.kind === "ignored") throw invalid("target_column", `"${targetColumn}" is no column that can be predicted: the data set has ${listed(usable)}`);
  if (usable.length < 2) throw invalid("target_column", `"${targetColumn}" is the only usable column: there is nothing to predict it from`);
  if (column.kind === "categorical") return suitable(column.categories, `column "${targetColumn}"`);
  if (column.standardDeviation === 0) throw unsuitable(`column "${targetColumn}" has one value only`);
  return undefined;
}

function suitable(classes: readonly string[], what: string): readonly string[] {
  if (classes.length < 2) throw unsuitable(`${what} hold ${classes.length === 0 ? "no class" : `the class ${listed(classes)} only`}`);
  return classes;
}

function unsuitable(what: string): StatusError {
  return new StatusError("TARGET_UNSUITABLE", `training_job.spec.target_column: ${what}; choose a target with at least two classes`, { metadata: { field: "training_job.spec.target_column" } });
}

function within(field: string, value: number, min: number, max: number, from: string = `from ${min}`): number {
  if (!(value >= min && value <= max)) throw invalid(field, `is ${value}, it must be ${from} to ${max}`);
  return value;
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.${field} ${problem}`, { metadata: { field: `training_job.spec.${field}` } });
}

function listed(words: readonly string[]): string {
  const shown = words.slice(0, 10).map((word) => `"${word.slice(0, 40)}"`).join(", ");
  return words.length > 10 ? `${shown} and ${words.length - 10} more` : shown;
}
