// What a job learns and how, as the service keeps it: rpc/spec-messages.ts turns it into the message of the contract.

import type { PreprocessingRecord } from "./preprocessing-spec.ts";

/** Model families. */
export type Family = "logistic_regression" | "softmax_regression" | "mlp" | "linear_regression" | "lenet" | "resnet" | "text_classifier" | "causal_lm" | "imported";

/** Optimisers. */
export type OptimizerKind = "adam" | "sgd" | "adamw" | "lion" | "rmsprop" | "adagrad" | "lamb";

/** What is minimised. */
export type LossKind = "cross_entropy" | "focal" | "mean_squared_error" | "huber";

/** How the learning rate changes. */
export type ScheduleShape = "constant" | "step" | "cosine" | "one_cycle" | "plateau" | "linear";

/** What an optimiser has beside its rate; undefined = the value of its paper. */
export interface OptimizerSettingsRecord {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly epsilon?: number | undefined;
  readonly nesterov: boolean;
  readonly smoothing?: number | undefined;
  readonly centered: boolean;
}

/** How the learning rate changes, every default filled in. */
export interface ScheduleRecord {
  readonly shape: ScheduleShape;
  readonly warmupSteps: number;
  readonly factor: number;
  /** 0 = a third of all steps. */
  readonly intervalSteps: number;
  readonly patience: number;
  readonly finalFraction: number;
  readonly riseFraction: number;
}

/** When training ends before its steps are done. */
export interface EarlyStoppingRecord {
  readonly metric: string;
  readonly patience: number;
  readonly minDelta: number;
}

/** Low-rank matrices beside those of the base model. */
export interface LowRankRecord {
  readonly rank: number;
  readonly alpha: number;
  /** Patterns of names; empty = all products. */
  readonly targets: readonly string[];
}

/** What is done to pictures at random while they are trained on. */
export interface AugmentationRecord {
  /** Mirrored left to right, every other time. */
  readonly flip: boolean;
  /** Pixels that a picture is moved by at most; what comes in is zero. */
  readonly shift: number;
}

/** When checkpoints are written, and how many are kept. */
export interface CheckpointPolicyRecord {
  /** 0 = by time only. */
  readonly intervalSteps: number;
  /** Undefined = the service's. */
  readonly intervalMs?: number | undefined;
  readonly keepCount: number;
}

/** Sizes of networks that are built here; 0 = the family's own. */
export interface ArchitectureRecord {
  readonly layerCount: number;
  readonly headCount: number;
  readonly width: number;
  readonly feedForwardWidth: number;
}

/** How rows are divided into folds. */
export interface CrossValidationRecord {
  /** Undefined = stratified where classes are predicted, plain otherwise. */
  readonly kind: "k_fold" | "stratified" | "group" | "time_series" | undefined;
  readonly foldCount: number;
  readonly repeatCount: number;
  /** Column of groups or times; empty = none. */
  readonly column: string;
  /** Rows left out between past and future. */
  readonly gap: number;
}

/** One fold of a cross-validation. */
export interface FoldRecord {
  readonly crossValidation: CrossValidationRecord;
  /** Which fold judges, counted through the repetitions. */
  readonly index: number;
  readonly seed: number;
}

/** What is learned and how, every default filled in. The fields are those of the contract's TrainingSpec, explained there. */
export interface TrainingSpecRecord {
  /** Column to predict; empty for images. */
  readonly targetColumn: string;
  /** "This class against the rest"; empty = all classes. */
  readonly positiveClass: string;
  /** Undefined = chosen by the number of classes. */
  readonly family: Family | undefined;
  readonly hiddenUnits: readonly number[];
  readonly optimizer: OptimizerKind;
  readonly learningRate: number;
  readonly momentum: number;
  readonly epochCount: number;
  readonly batchSize: number;
  readonly validationFraction: number;
  readonly seed: number;
  readonly weightDecay: number;
  readonly optimizerSettings: OptimizerSettingsRecord;
  readonly schedule: ScheduleRecord;
  /** Undefined = by the target. */
  readonly loss: LossKind | undefined;
  readonly focalGamma: number;
  /** In standard deviations of the target. */
  readonly huberDelta: number;
  readonly labelSmoothing: number;
  /** Batches of one optimiser step. */
  readonly accumulationCount: number;
  /** 0 = never. */
  readonly clipNorm: number;
  readonly dropout: number;
  readonly l1Penalty: number;
  readonly l2Penalty: number;
  /** 0 = no average. */
  readonly emaDecay: number;
  readonly earlyStopping: EarlyStoppingRecord | undefined;
  /** Version or alias by its resource name; empty = none. */
  readonly baseModel: string;
  readonly frozenParameters: readonly string[];
  readonly lowRankAdaptation: LowRankRecord | undefined;
  /** Stored split of the data set; empty = drawn by seed and validationFraction. */
  readonly split: string;
  readonly threadCount: number;
  /** 0 = by epochs. */
  readonly stepCountMax: number;
  /** 0 = at each epoch's end. */
  readonly evaluationIntervalSteps: number;
  readonly checkpointPolicy: CheckpointPolicyRecord;
  readonly maxSequenceLength: number;
  /** 0 = as the images or the base model are. */
  readonly imageSize: number;
  /** Undefined = what suits the family. */
  readonly augmentation?: AugmentationRecord | undefined;
  readonly architecture: ArchitectureRecord;
  /** Empty = the only one. */
  readonly textColumn: string;
  /** Empty = all but the target. */
  readonly featureColumns: readonly string[];
  readonly classWeights: Readonly<Record<string, number>>;
  readonly rollbackCountMax: number;
  /** Wins over split and validationFraction. */
  readonly fold?: FoldRecord | undefined;
  /** Undefined = nothing is learned from columns; of an older job's table, the defaults. */
  readonly preprocessing?: PreprocessingRecord | undefined;
}

/** A specification of which nothing was said. */
export const SPEC_DEFAULTS: TrainingSpecRecord = {
  targetColumn: "",
  positiveClass: "",
  family: undefined,
  hiddenUnits: [],
  optimizer: "adam",
  learningRate: 0.01,
  momentum: 0,
  epochCount: 10,
  batchSize: 32,
  validationFraction: 0.2,
  seed: 0,
  weightDecay: 0,
  optimizerSettings: { nesterov: false, centered: false },
  schedule: { shape: "constant", warmupSteps: 0, factor: 0.1, intervalSteps: 0, patience: 3, finalFraction: 0, riseFraction: 0.3 },
  loss: undefined,
  focalGamma: 2,
  huberDelta: 1,
  labelSmoothing: 0,
  accumulationCount: 1,
  clipNorm: 0,
  dropout: 0,
  l1Penalty: 0,
  l2Penalty: 0,
  emaDecay: 0,
  earlyStopping: undefined,
  baseModel: "",
  frozenParameters: [],
  lowRankAdaptation: undefined,
  split: "",
  threadCount: 1,
  stepCountMax: 0,
  evaluationIntervalSteps: 0,
  checkpointPolicy: { intervalSteps: 0, keepCount: 2 },
  maxSequenceLength: 128,
  imageSize: 0,
  architecture: { layerCount: 0, headCount: 0, width: 0, feedForwardWidth: 0 },
  textColumn: "",
  featureColumns: [],
  classWeights: {},
  rollbackCountMax: 2,
};
