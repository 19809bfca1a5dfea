import { StatusError } from "@servable/errors";
import { checkFold } from "./cross-validation.ts";
import type { DatasetRecord } from "./records.ts";
import { resolvePreprocessing, type PreprocessingDraft } from "./preprocessing-spec.ts";
import { applyHyperparameters } from "./spec-hyperparameters.ts";
import { SPEC_DEFAULTS, type CheckpointPolicyRecord, type LowRankRecord, type OptimizerKind, type OptimizerSettingsRecord, type ScheduleRecord, type TrainingSpecRecord } from "./training-spec-record.ts";

/** A specification as the caller wrote it: 0, "", an empty list and undefined mean "not said". */
export type TrainingSpecDraft = {
  readonly [Field in Exclude<keyof TrainingSpecRecord, NestedField | "preprocessing">]?: TrainingSpecRecord[Field] | undefined;
} & {
  readonly [Field in NestedField]?: Partial<NonNullable<TrainingSpecRecord[Field]>> | undefined;
} & {
  /** Numbers by the path of their field; they win over the fields. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  readonly preprocessing?: PreprocessingDraft | undefined;
};

type NestedField = "optimizerSettings" | "schedule" | "earlyStopping" | "lowRankAdaptation" | "checkpointPolicy" | "architecture";

/** Bounds of one job: beyond them a slip of the keyboard would occupy the service for days. */
export const SPEC_LIMITS = {
  epochCountMax: 10_000,
  batchSizeMax: 65_536,
  hiddenLayersMax: 8,
  hiddenUnitsMax: 8_192,
  learningRateMax: 100,
  validationFractionMax: 0.9,
  weightDecayMax: 10,
  accumulationCountMax: 4_096,
  stepCountMax: 100_000_000,
  threadCountMax: 64,
  sequenceLengthMax: 8_192,
  imageSizeMax: 1_024,
  imageShiftMax: 64,
  layerCountMax: 96,
  headCountMax: 128,
  widthMax: 16_384,
  rankMax: 1_024,
  patternsMax: 100,
  patternLengthMax: 200,
  classWeightMax: 1_000_000,
  checkpointsKeptMax: 20,
  checkpointIntervalMsMin: 1_000,
  patienceMax: 1_000,
  rollbackCountMax: 20,
} as const;

const BATCH_SIZE = 32;
const EPOCHS_DEFAULT = 10;
const EPOCHS_DEFAULT_MAX = 1_000;
/** A pretrained network knows most already. */
const EPOCHS_DEFAULT_PRETRAINED = 3;
/** Fewer steps leave a small network where it began. */
const STEPS_MIN = 2_000;

/** The data set lists at most so many categories of a column; beyond it a class cannot be looked up. */
const CATEGORIES_LISTED_MAX = 1000;

/**
 * Checks a specification against its data set and fills in the defaults.
 *
 * @throws StatusError `FIELD_REQUIRED` and `FIELD_INVALID` naming the field, `TARGET_UNSUITABLE` when there are fewer than two classes
 */
export function resolveSpec(said: TrainingSpecDraft, dataset: DatasetRecord): TrainingSpecRecord {
  const draft = applyHyperparameters(said);
  const targetColumn = draft.targetColumn ?? "";
  const positiveClass = draft.positiveClass ?? "";
  const hiddenUnits = draft.hiddenUnits ?? [];
  const family = draft.family;
  const classes = classesOf(draft, dataset);
  if (positiveClass !== "" && classes !== undefined && classes.length < CATEGORIES_LISTED_MAX && !classes.includes(positiveClass)) {
    throw invalid("positive_class", `"${positiveClass}" is no class of the target: it has ${listed(classes)}`);
  }
  if (family === "logistic_regression" && positiveClass === "" && classes !== undefined && classes.length > 2) {
    throw invalid("family", `logistic regression tells two classes apart and the target has ${classes.length}: choose softmax regression, an MLP, or a positive_class`);
  }
  const isMlp = family === "mlp";
  if (!isMlp && hiddenUnits.length > 0) throw invalid("hidden_units", "only an MLP has hidden layers: set family to MLP, or leave it empty");
  if (hiddenUnits.length > SPEC_LIMITS.hiddenLayersMax) throw invalid("hidden_units", `has ${hiddenUnits.length} layers, at most ${SPEC_LIMITS.hiddenLayersMax} are allowed`);
  const optimizer = draft.optimizer ?? "adam";
  if (optimizer !== "sgd" && optimizer !== "rmsprop" && (draft.momentum ?? 0) !== 0) throw invalid("momentum", "only SGD and RMSprop have a momentum: set optimizer to SGD, or leave it 0");
  const batchSize = count("batch_size", draft.batchSize, BATCH_SIZE, SPEC_LIMITS.batchSizeMax);
  // Texts and conversations are cut into blocks: only the trainer knows how many.
  if (!said0(draft.batchSize) && batchSize > dataset.rowCount && dataset.format !== "text" && dataset.format !== "chat") {
    throw invalid("batch_size", `is ${batchSize}, and the data set has ${dataset.rowCount} rows: take at most that many`);
  }
  const features = featureColumns(draft.featureColumns ?? [], targetColumn, dataset);
  return {
    targetColumn,
    positiveClass,
    family,
    hiddenUnits: isMlp && hiddenUnits.length === 0 ? [128] : hiddenUnits.map((units) => whole("hidden_units", units, 1, SPEC_LIMITS.hiddenUnitsMax)),
    optimizer,
    learningRate: said0(draft.learningRate) ? defaultRate(optimizer, family) : within("learning_rate", draft.learningRate, Number.MIN_VALUE, SPEC_LIMITS.learningRateMax, "above 0"),
    momentum: within("momentum", draft.momentum ?? 0, 0, 1),
    epochCount: said0(draft.epochCount) ? defaultEpochs(dataset.rowCount, batchSize, family) : whole("epoch_count", draft.epochCount, 1, SPEC_LIMITS.epochCountMax),
    batchSize,
    validationFraction: draft.validationFraction === undefined ? SPEC_DEFAULTS.validationFraction : within("validation_fraction", draft.validationFraction, 0, SPEC_LIMITS.validationFractionMax),
    seed: whole("seed", draft.seed ?? 0, 0, Number.MAX_SAFE_INTEGER),
    weightDecay: within("weight_decay", draft.weightDecay ?? 0, 0, SPEC_LIMITS.weightDecayMax),
    optimizerSettings: optimizerSettings(draft.optimizerSettings ?? {}, optimizer),
    schedule: schedule(draft.schedule ?? {}),
    loss: draft.loss,
    focalGamma: said0(draft.focalGamma) ? SPEC_DEFAULTS.focalGamma : within("focal_gamma", draft.focalGamma, 0, 10),
    huberDelta: said0(draft.huberDelta) ? SPEC_DEFAULTS.huberDelta : within("huber_delta", draft.huberDelta, Number.MIN_VALUE, 1e6, "above 0"),
    labelSmoothing: below1("label_smoothing", draft.labelSmoothing),
    accumulationCount: count("accumulation_count", draft.accumulationCount, 1, SPEC_LIMITS.accumulationCountMax),
    clipNorm: within("clip_norm", draft.clipNorm ?? 0, 0, 1e9),
    dropout: below1("dropout", draft.dropout),
    l1Penalty: within("l1_penalty", draft.l1Penalty ?? 0, 0, SPEC_LIMITS.weightDecayMax),
    l2Penalty: within("l2_penalty", draft.l2Penalty ?? 0, 0, SPEC_LIMITS.weightDecayMax),
    emaDecay: below1("ema_decay", draft.emaDecay),
    earlyStopping:
      draft.earlyStopping === undefined
        ? undefined
        : {
            metric: short("early_stopping.metric", draft.earlyStopping.metric ?? "") || "validation_loss",
            patience: count("early_stopping.patience", draft.earlyStopping.patience, 3, SPEC_LIMITS.patienceMax),
            minDelta: within("early_stopping.min_delta", draft.earlyStopping.minDelta ?? 0, 0, 1e9),
          },
    baseModel: baseModel(draft.baseModel ?? "", family),
    frozenParameters: patterns("frozen_parameters", draft.frozenParameters ?? []),
    lowRankAdaptation: draft.lowRankAdaptation === undefined ? undefined : lowRank(draft.lowRankAdaptation, draft.baseModel ?? ""),
    split: short("split", draft.split ?? ""),
    threadCount: count("thread_count", draft.threadCount, 1, SPEC_LIMITS.threadCountMax),
    stepCountMax: whole("step_count_max", draft.stepCountMax ?? 0, 0, SPEC_LIMITS.stepCountMax),
    evaluationIntervalSteps: whole("evaluation_interval_steps", draft.evaluationIntervalSteps ?? 0, 0, SPEC_LIMITS.stepCountMax),
    checkpointPolicy: checkpointPolicy(draft.checkpointPolicy ?? {}),
    maxSequenceLength: count("max_sequence_length", draft.maxSequenceLength, SPEC_DEFAULTS.maxSequenceLength, SPEC_LIMITS.sequenceLengthMax),
    imageSize: whole("image_size", draft.imageSize ?? 0, 0, SPEC_LIMITS.imageSizeMax),
    ...(draft.augmentation === undefined ? {} : { augmentation: { flip: draft.augmentation.flip, shift: whole("augmentation.shift", draft.augmentation.shift, 0, SPEC_LIMITS.imageShiftMax) } }),
    architecture: {
      layerCount: whole("architecture.layer_count", draft.architecture?.layerCount ?? 0, 0, SPEC_LIMITS.layerCountMax),
      headCount: whole("architecture.head_count", draft.architecture?.headCount ?? 0, 0, SPEC_LIMITS.headCountMax),
      width: whole("architecture.width", draft.architecture?.width ?? 0, 0, SPEC_LIMITS.widthMax),
      feedForwardWidth: whole("architecture.feed_forward_width", draft.architecture?.feedForwardWidth ?? 0, 0, SPEC_LIMITS.widthMax),
    },
    textColumn: draft.textColumn ?? "",
    featureColumns: features,
    classWeights: Object.fromEntries(Object.entries(draft.classWeights ?? {}).map(([name, weight]) => [name, within("class_weights", weight, 0, SPEC_LIMITS.classWeightMax)])),
    rollbackCountMax: whole("rollback_count_max", draft.rollbackCountMax ?? SPEC_DEFAULTS.rollbackCountMax, 0, SPEC_LIMITS.rollbackCountMax),
    fold: draft.fold === undefined ? undefined : checkFold("training_job.spec.fold", draft.fold, dataset),
    preprocessing: resolvePreprocessing(draft.preprocessing, { family, targetColumn, featureColumns: features }, dataset),
  };
}

/** Rates at which the families' own publications train; a large step in a pretrained network forgets what it knows. */
function defaultRate(optimizer: OptimizerKind, family: TrainingSpecRecord["family"]): number {
  switch (family) {
    case "text_classifier":
    case "imported":
      return optimizer === "sgd" ? 1e-3 : 1e-4;
    case "lenet":
    case "resnet":
    case "causal_lm":
    case "mlp":
      if (optimizer === "sgd") return family === "mlp" ? 0.01 : 0.1;
      return optimizer === "lion" ? 1e-4 : 1e-3;
    default:
      return optimizer === "lion" ? 1e-3 : 0.01;
  }
}

function optimizerSettings(said: Partial<OptimizerSettingsRecord>, optimizer: OptimizerKind): OptimizerSettingsRecord {
  const decay = (field: string, value: number | undefined): number | undefined => (value === undefined ? undefined : below1(`optimizer_settings.${field}`, value));
  if (said.nesterov === true && optimizer !== "sgd") throw invalid("optimizer_settings.nesterov", "only SGD has it: set optimizer to SGD, or leave it out");
  if (said.centered === true && optimizer !== "rmsprop") throw invalid("optimizer_settings.centered", "only RMSprop has it: set optimizer to RMSPROP, or leave it out");
  return {
    beta1: decay("beta1", said.beta1),
    beta2: decay("beta2", said.beta2),
    epsilon: said.epsilon === undefined ? undefined : within("optimizer_settings.epsilon", said.epsilon, 0, 1),
    nesterov: said.nesterov ?? false,
    smoothing: decay("smoothing", said.smoothing),
    centered: said.centered ?? false,
  };
}

function schedule(said: Partial<ScheduleRecord>): ScheduleRecord {
  const { schedule: defaults } = SPEC_DEFAULTS;
  return {
    shape: said.shape ?? defaults.shape,
    warmupSteps: whole("schedule.warmup_steps", said.warmupSteps ?? 0, 0, SPEC_LIMITS.stepCountMax),
    factor: said0(said.factor) ? defaults.factor : within("schedule.factor", said.factor, Number.MIN_VALUE, 1, "above 0"),
    intervalSteps: whole("schedule.interval_steps", said.intervalSteps ?? 0, 0, SPEC_LIMITS.stepCountMax),
    patience: count("schedule.patience", said.patience, defaults.patience, SPEC_LIMITS.patienceMax),
    finalFraction: within("schedule.final_fraction", said.finalFraction ?? 0, 0, 1),
    riseFraction: said0(said.riseFraction) ? defaults.riseFraction : below1("schedule.rise_fraction", said.riseFraction),
  };
}

function checkpointPolicy(said: Partial<CheckpointPolicyRecord>): CheckpointPolicyRecord {
  return {
    intervalSteps: whole("checkpoint_policy.interval_steps", said.intervalSteps ?? 0, 0, SPEC_LIMITS.stepCountMax),
    ...(said.intervalMs === undefined ? {} : { intervalMs: within("checkpoint_policy.interval_duration", said.intervalMs, SPEC_LIMITS.checkpointIntervalMsMin, Number.MAX_SAFE_INTEGER, `${SPEC_LIMITS.checkpointIntervalMsMin} ms`) }),
    keepCount: count("checkpoint_policy.keep_count", said.keepCount, SPEC_DEFAULTS.checkpointPolicy.keepCount, SPEC_LIMITS.checkpointsKeptMax),
  };
}

function lowRank(said: Partial<LowRankRecord>, base: string): LowRankRecord {
  if (base === "") throw invalid("low_rank_adaptation", "adapts a base model: set base_model, or leave it out");
  const rank = count("low_rank_adaptation.rank", said.rank, 8, SPEC_LIMITS.rankMax);
  return {
    rank,
    alpha: said0(said.alpha) ? 2 * rank : within("low_rank_adaptation.alpha", said.alpha, Number.MIN_VALUE, 1e6, "above 0"),
    targets: patterns("low_rank_adaptation.targets", said.targets ?? []),
  };
}

function baseModel(name: string, family: TrainingSpecRecord["family"]): string {
  const wanted = family === "text_classifier" || family === "imported";
  if (name === "" && wanted) throw new StatusError("FIELD_REQUIRED", `training_job.spec.base_model is required: family ${family.toUpperCase()} begins with a registered model`, { metadata: { field: "training_job.spec.base_model" } });
  if (name !== "" && !wanted && family !== "causal_lm") throw invalid("base_model", "is for the families TEXT_CLASSIFIER, CAUSAL_LM and IMPORTED: set one of them, or leave it empty");
  if (name !== "" && !/^projects\/[^/]+\/models\/[^/]+\/versions\/[^/]+$/.test(name)) {
    throw invalid("base_model", `"${name.slice(0, 100)}" names no version: write "projects/{project}/models/{model}/versions/{number or alias}"`);
  }
  return name;
}

function featureColumns(names: readonly string[], target: string, dataset: DatasetRecord): readonly string[] {
  for (const name of names) {
    if (name === target) throw invalid("feature_columns", `hold the target "${name}": a model that sees it learns nothing else`);
    if (!dataset.columns.some((column) => column.name === name)) throw invalid("feature_columns", `"${name.slice(0, 64)}" is no column: the data set has ${listed(dataset.columns.map((column) => column.name))}`);
  }
  return names;
}

function patterns(field: string, values: readonly string[]): readonly string[] {
  if (values.length > SPEC_LIMITS.patternsMax) throw invalid(field, `has ${values.length} patterns, at most ${SPEC_LIMITS.patternsMax} are allowed`);
  if (values.some((value) => value === "" || value.length > SPEC_LIMITS.patternLengthMax)) throw invalid(field, `has a pattern that is empty or longer than ${SPEC_LIMITS.patternLengthMax} characters`);
  return values;
}

/** Ten passes teach a large data set; a small one is gone through as often as makes {@link STEPS_MIN} steps. */
function defaultEpochs(rowCount: number, batchSize: number, family: TrainingSpecRecord["family"]): number {
  if (family === "text_classifier" || family === "imported") return EPOCHS_DEFAULT_PRETRAINED;
  const stepsPerEpoch = Math.max(1, Math.ceil(rowCount / batchSize));
  return Math.min(EPOCHS_DEFAULT_MAX, Math.max(EPOCHS_DEFAULT, Math.ceil(STEPS_MIN / stepsPerEpoch)));
}

/** The target's classes; undefined for a numeric column, whose distinct values only the trainer sees. */
function classesOf({ targetColumn = "" }: TrainingSpecDraft, dataset: DatasetRecord): readonly string[] | undefined {
  if (dataset.columns.length === 0) {
    if (targetColumn !== "") throw invalid("target_column", "only tables have columns, images are predicted by their labels: leave it empty");
    if (dataset.format === "text" || dataset.format === "chat") return undefined;
    return suitable(dataset.labelClasses, "the labels hold");
  }
  const usable = dataset.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
  if (targetColumn === "") {
    throw new StatusError("FIELD_REQUIRED", `training_job.spec.target_column is required: one of ${listed(usable)}`, { metadata: { field: "training_job.spec.target_column" } });
  }
  const column = dataset.columns.find(({ name }) => name === targetColumn);
  if (column === undefined || column.kind === "ignored") throw invalid("target_column", `"${targetColumn}" is no column that can be predicted: the data set has ${listed(usable)}`);
  if (usable.length < 2) throw invalid("target_column", `"${targetColumn}" is the only usable column: there is nothing to predict it from`);
  const empty = dataset.columns.find(({ kind, statistics }) => kind !== "ignored" && statistics?.presentCount === 0);
  if (empty !== undefined) {
    throw new StatusError("COLUMN_UNSUITABLE", `column "${empty.name}" has no value in any of ${dataset.rowCount} rows: make a version in which it is ignored (servable datasets update … --ignore), or fill it`, { metadata: { field: "dataset.columns", column: empty.name } });
  }
  if (column.kind === "text" || column.kind === "datetime") throw invalid("target_column", `"${targetColumn}" holds ${column.kind === "text" ? "free text" : "moments"}, which are no classes: declare it categorical, or choose another column`);
  if (column.kind === "categorical" || column.kind === "boolean") return suitable(column.categories, `column "${targetColumn}" holds`);
  if (column.standardDeviation === 0) throw unsuitable(`column "${targetColumn}" has one value only`);
  return undefined;
}

function suitable(classes: readonly string[], what: string): readonly string[] {
  if (classes.length < 2) throw unsuitable(`${what} ${classes.length === 0 ? "no class" : `the class ${listed(classes)} only`}`);
  return classes;
}

function unsuitable(what: string): StatusError {
  return new StatusError("TARGET_UNSUITABLE", `training_job.spec.target_column: ${what}; choose a target with at least two classes`, { metadata: { field: "training_job.spec.target_column" } });
}

function within(field: string, value: number, min: number, max: number, from: string = `from ${min}`): number {
  if (!(value >= min && value <= max)) throw invalid(field, `is ${value}, it must be ${from} to ${max}`);
  return value;
}

function whole(field: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value)) throw invalid(field, `is ${value}, it must be a whole number from ${min} to ${max}`);
  return within(field, value, min, max);
}

/** 0 and undefined mean the default. */
function count(field: string, value: number | undefined, byDefault: number, max: number): number {
  return said0(value) ? byDefault : whole(field, value, 1, max);
}

function said0(value: number | undefined): value is 0 | undefined {
  return value === undefined || value === 0;
}

function below1(field: string, value: number | undefined = 0): number {
  if (!(value >= 0 && value < 1)) throw invalid(field, `is ${value}, it must be from 0 to below 1`);
  return value;
}

function short(field: string, value: string): string {
  if (value.length > SPEC_LIMITS.patternLengthMax) throw invalid(field, `is longer than ${SPEC_LIMITS.patternLengthMax} characters`);
  return value;
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.${field} ${problem}`, { metadata: { field: `training_job.spec.${field}` } });
}

function listed(words: readonly string[]): string {
  const shown = words.slice(0, 10).map((word) => `"${word.slice(0, 40)}"`).join(", ");
  return words.length > 10 ? `${shown} and ${words.length - 10} more` : shown;
}
