// TrainingSpec ↔ its record and draft.

import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  CrossValidation_Kind,
  LearningRateSchedule_Shape,
  TrainingSpecSchema,
  TrainingSpec_Family,
  TrainingSpec_Loss,
  TrainingSpec_Optimizer,
  type CrossValidation,
  type CrossValidationFold,
  type TrainingSpec,
} from "@servable/contracts/training/v1/training_job";
import type { CrossValidationRecord, Family, FoldRecord, LossKind, OptimizerKind, ScheduleShape, TrainingSpecRecord } from "../domain/training-spec-record.ts";
import type { TrainingSpecDraft } from "../domain/training-spec.ts";
import { numberOf, wordOf } from "./enum-words.ts";
import { preprocessingDraft, preprocessingMessage } from "./preprocessing-messages.ts";

const FAMILIES: readonly (readonly [Family, TrainingSpec_Family])[] = [
  ["logistic_regression", TrainingSpec_Family.LOGISTIC_REGRESSION],
  ["softmax_regression", TrainingSpec_Family.SOFTMAX_REGRESSION],
  ["mlp", TrainingSpec_Family.MLP],
  ["linear_regression", TrainingSpec_Family.LINEAR_REGRESSION],
  ["lenet", TrainingSpec_Family.LENET],
  ["resnet", TrainingSpec_Family.RESNET],
  ["text_classifier", TrainingSpec_Family.TEXT_CLASSIFIER],
  ["causal_lm", TrainingSpec_Family.CAUSAL_LM],
  ["imported", TrainingSpec_Family.IMPORTED],
];
const OPTIMIZERS: readonly (readonly [OptimizerKind, TrainingSpec_Optimizer])[] = [
  ["adam", TrainingSpec_Optimizer.ADAM],
  ["sgd", TrainingSpec_Optimizer.SGD],
  ["adamw", TrainingSpec_Optimizer.ADAMW],
  ["lion", TrainingSpec_Optimizer.LION],
  ["rmsprop", TrainingSpec_Optimizer.RMSPROP],
  ["adagrad", TrainingSpec_Optimizer.ADAGRAD],
  ["lamb", TrainingSpec_Optimizer.LAMB],
];
const LOSSES: readonly (readonly [LossKind, TrainingSpec_Loss])[] = [
  ["cross_entropy", TrainingSpec_Loss.CROSS_ENTROPY],
  ["focal", TrainingSpec_Loss.FOCAL],
  ["mean_squared_error", TrainingSpec_Loss.MEAN_SQUARED_ERROR],
  ["huber", TrainingSpec_Loss.HUBER],
];
const SHAPES: readonly (readonly [ScheduleShape, LearningRateSchedule_Shape])[] = [
  ["constant", LearningRateSchedule_Shape.CONSTANT],
  ["step", LearningRateSchedule_Shape.STEP],
  ["cosine", LearningRateSchedule_Shape.COSINE],
  ["one_cycle", LearningRateSchedule_Shape.ONE_CYCLE],
  ["plateau", LearningRateSchedule_Shape.PLATEAU],
  ["linear", LearningRateSchedule_Shape.LINEAR],
];
const FOLD_KINDS: readonly (readonly [NonNullable<CrossValidationRecord["kind"]>, CrossValidation_Kind])[] = [
  ["k_fold", CrossValidation_Kind.K_FOLD],
  ["stratified", CrossValidation_Kind.STRATIFIED],
  ["group", CrossValidation_Kind.GROUP],
  ["time_series", CrossValidation_Kind.TIME_SERIES],
];

/** What the caller wrote. */
export function specDraft(spec: TrainingSpec): TrainingSpecDraft {
  const { optimizerSettings, schedule, earlyStopping, lowRankAdaptation, checkpointPolicy, architecture } = spec;
  return {
    targetColumn: spec.targetColumn,
    positiveClass: spec.positiveClass,
    family: wordOf(FAMILIES, spec.family),
    hiddenUnits: spec.hiddenUnits,
    optimizer: wordOf(OPTIMIZERS, spec.optimizer),
    learningRate: spec.learningRate,
    momentum: spec.momentum,
    epochCount: spec.epochCount,
    batchSize: spec.batchSize,
    validationFraction: spec.validationFraction,
    seed: Number(spec.seed),
    weightDecay: spec.weightDecay,
    ...(optimizerSettings === undefined ? {} : { optimizerSettings }),
    ...(schedule === undefined ? {} : { schedule: { ...schedule, shape: wordOf(SHAPES, schedule.shape) ?? "constant", warmupSteps: Number(schedule.warmupSteps), intervalSteps: Number(schedule.intervalSteps) } }),
    loss: wordOf(LOSSES, spec.loss),
    focalGamma: spec.focalGamma,
    huberDelta: spec.huberDelta,
    labelSmoothing: spec.labelSmoothing,
    accumulationCount: spec.accumulationCount,
    clipNorm: spec.clipNorm,
    dropout: spec.dropout,
    l1Penalty: spec.l1Penalty,
    l2Penalty: spec.l2Penalty,
    emaDecay: spec.emaDecay,
    earlyStopping,
    baseModel: spec.baseModel,
    frozenParameters: spec.frozenParameters,
    lowRankAdaptation,
    split: spec.split,
    threadCount: spec.threadCount,
    stepCountMax: Number(spec.stepCountMax),
    evaluationIntervalSteps: Number(spec.evaluationIntervalSteps),
    ...(checkpointPolicy === undefined
      ? {}
      : {
          checkpointPolicy: {
            intervalSteps: Number(checkpointPolicy.intervalSteps),
            intervalMs: checkpointPolicy.intervalDuration && durationMs(checkpointPolicy.intervalDuration),
            keepCount: checkpointPolicy.keepCount,
          },
        }),
    maxSequenceLength: spec.maxSequenceLength,
    imageSize: spec.imageSize,
    ...(spec.augmentation === undefined ? {} : { augmentation: { flip: spec.augmentation.flip, shift: spec.augmentation.shift } }),
    ...(architecture === undefined ? {} : { architecture }),
    textColumn: spec.textColumn,
    featureColumns: spec.featureColumns,
    classWeights: spec.classWeights,
    rollbackCountMax: spec.rollbackCountMax,
    hyperparameters: spec.hyperparameters,
    ...(spec.fold === undefined ? {} : { fold: foldDraft(spec.fold) }),
    ...(spec.preprocessing === undefined ? {} : { preprocessing: preprocessingDraft(spec.preprocessing) }),
  };
}

/** How rows are divided, as the caller wrote it. */
export function crossValidationDraft({ kind, foldCount, repeatCount, column, gap }: CrossValidation): CrossValidationRecord {
  return { kind: wordOf(FOLD_KINDS, kind), foldCount, repeatCount: repeatCount === 0 ? 1 : repeatCount, column, gap };
}

/** How rows are divided. */
export function crossValidationMessage({ kind, ...rest }: CrossValidationRecord): Omit<CrossValidation, "$typeName"> {
  return { ...rest, kind: kind === undefined ? CrossValidation_Kind.UNSPECIFIED : numberOf(FOLD_KINDS, kind) };
}

function foldDraft({ crossValidation, index, seed }: CrossValidationFold): FoldRecord {
  const said = crossValidation === undefined ? { kind: undefined, foldCount: 0, repeatCount: 1, column: "", gap: 0 } : crossValidationDraft(crossValidation);
  return { crossValidation: said, index, seed: Number(seed) };
}

/** A specification with every default filled in. */
export function specMessage(spec: TrainingSpecRecord): TrainingSpec {
  const { family, loss, schedule, checkpointPolicy, lowRankAdaptation, earlyStopping, optimizerSettings, fold, augmentation, preprocessing, ...rest } = spec;
  return create(TrainingSpecSchema, {
    ...rest,
    family: family === undefined ? TrainingSpec_Family.UNSPECIFIED : numberOf(FAMILIES, family),
    hiddenUnits: [...spec.hiddenUnits],
    optimizer: numberOf(OPTIMIZERS, spec.optimizer),
    seed: BigInt(spec.seed),
    optimizerSettings: said(optimizerSettings),
    schedule: { ...schedule, shape: numberOf(SHAPES, schedule.shape), warmupSteps: BigInt(schedule.warmupSteps), intervalSteps: BigInt(schedule.intervalSteps) },
    loss: loss === undefined ? TrainingSpec_Loss.UNSPECIFIED : numberOf(LOSSES, loss),
    ...(earlyStopping === undefined ? {} : { earlyStopping }),
    frozenParameters: [...spec.frozenParameters],
    ...(augmentation === undefined ? {} : { augmentation }),
    ...(lowRankAdaptation === undefined ? {} : { lowRankAdaptation: { ...lowRankAdaptation, targets: [...lowRankAdaptation.targets] } }),
    stepCountMax: BigInt(spec.stepCountMax),
    evaluationIntervalSteps: BigInt(spec.evaluationIntervalSteps),
    checkpointPolicy: {
      intervalSteps: BigInt(checkpointPolicy.intervalSteps),
      keepCount: checkpointPolicy.keepCount,
      ...(checkpointPolicy.intervalMs === undefined ? {} : { intervalDuration: durationFromMs(checkpointPolicy.intervalMs) }),
    },
    featureColumns: [...spec.featureColumns],
    classWeights: { ...spec.classWeights },
    ...(fold === undefined ? {} : { fold: { crossValidation: crossValidationMessage(fold.crossValidation), index: fold.index, seed: BigInt(fold.seed) } }),
    ...(preprocessing === undefined ? {} : { preprocessing: preprocessingMessage(preprocessing) }),
  });
}

type Said<T> = { [Field in keyof T]?: Exclude<T[Field], undefined> };

/** The fields that have a value: an optional one that is set to undefined is not the same as one that is not set. */
function said<T extends object>(settings: T): Said<T> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Said<T>;
}
