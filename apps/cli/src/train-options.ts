import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Option, type Command } from "commander";
import {
  LearningRateSchedule_Shape,
  PreprocessingSchema,
  Preprocessing_Encoding,
  Preprocessing_Imputation,
  Preprocessing_Scaling,
  TrainingSpecSchema,
  TrainingSpec_Family,
  TrainingSpec_Loss,
  TrainingSpec_Optimizer,
  type TrainingLimitsSchema,
  type TrainingSpec,
} from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { collect, durationMs, imputation, numberWithin, sizeBytes, wholeNumber, wholeNumbers } from "./option-parsers.ts";

const FAMILIES = {
  auto: TrainingSpec_Family.UNSPECIFIED,
  logistic: TrainingSpec_Family.LOGISTIC_REGRESSION,
  softmax: TrainingSpec_Family.SOFTMAX_REGRESSION,
  mlp: TrainingSpec_Family.MLP,
  linear: TrainingSpec_Family.LINEAR_REGRESSION,
  lenet: TrainingSpec_Family.LENET,
  resnet: TrainingSpec_Family.RESNET,
  "text-classifier": TrainingSpec_Family.TEXT_CLASSIFIER,
  "causal-lm": TrainingSpec_Family.CAUSAL_LM,
  imported: TrainingSpec_Family.IMPORTED,
} as const;
const OPTIMIZERS = {
  adam: TrainingSpec_Optimizer.ADAM,
  adamw: TrainingSpec_Optimizer.ADAMW,
  sgd: TrainingSpec_Optimizer.SGD,
  lion: TrainingSpec_Optimizer.LION,
  rmsprop: TrainingSpec_Optimizer.RMSPROP,
  adagrad: TrainingSpec_Optimizer.ADAGRAD,
  lamb: TrainingSpec_Optimizer.LAMB,
} as const;
const LOSSES = { "cross-entropy": TrainingSpec_Loss.CROSS_ENTROPY, focal: TrainingSpec_Loss.FOCAL, mse: TrainingSpec_Loss.MEAN_SQUARED_ERROR, huber: TrainingSpec_Loss.HUBER } as const;
const SCHEDULES = {
  constant: LearningRateSchedule_Shape.CONSTANT,
  step: LearningRateSchedule_Shape.STEP,
  cosine: LearningRateSchedule_Shape.COSINE,
  linear: LearningRateSchedule_Shape.LINEAR,
  "one-cycle": LearningRateSchedule_Shape.ONE_CYCLE,
  plateau: LearningRateSchedule_Shape.PLATEAU,
} as const;
const SCALINGS = { standard: Preprocessing_Scaling.STANDARD, "min-max": Preprocessing_Scaling.MIN_MAX, robust: Preprocessing_Scaling.ROBUST, none: Preprocessing_Scaling.NONE } as const;
const ENCODINGS = { "one-hot": Preprocessing_Encoding.ONE_HOT, ordinal: Preprocessing_Encoding.ORDINAL } as const;

/** What the flags of `train` say about how to learn. */
export interface TrainSpecOptions {
  readonly target?: string;
  readonly positiveClass?: string;
  readonly textColumn?: string;
  readonly family?: keyof typeof FAMILIES;
  readonly hidden?: readonly number[];
  readonly baseModel?: string;
  readonly freeze?: readonly string[];
  readonly loraRank?: number;
  readonly optimizer?: keyof typeof OPTIMIZERS;
  readonly learningRate?: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly loss?: keyof typeof LOSSES;
  readonly schedule?: keyof typeof SCHEDULES;
  readonly warmup?: number;
  readonly epochs?: number;
  readonly maxSteps?: number;
  readonly batchSize?: number;
  readonly accumulate?: number;
  readonly clipNorm?: number;
  readonly dropout?: number;
  readonly labelSmoothing?: number;
  readonly ema?: number;
  readonly patience?: number;
  readonly stopMetric?: string;
  readonly validation?: number;
  readonly split?: string;
  readonly seed?: number;
  readonly threads?: number;
  readonly maxLength?: number;
  readonly impute?: "mean" | "median" | number;
  readonly missingIndicator?: boolean;
  readonly scale?: keyof typeof SCALINGS;
  readonly encode?: keyof typeof ENCODINGS;
  readonly checkpointEvery?: number;
}

/** Bounds and place in the queue. */
export interface TrainJobOptions {
  readonly priority?: number;
  readonly timeLimit?: number;
  readonly memoryLimit?: number;
  readonly costLimit?: number;
}

/** Adds the options of both. */
export function withTrainOptions(command: Command): Command {
  const choice = (flags: string, text: string, words: object): Option => new Option(flags, text).choices(Object.keys(words));
  return command
    .option("--target <column>", "column to predict: few texts are classes, numbers are classes for a classifier and values for linear and mlp")
    .option("--positive-class <class>", 'learn "this class against the rest"')
    .option("--text-column <column>", "column of the texts, where there are several")
    .addOption(choice("--family <family>", "auto: logistic for two classes, softmax for more; mlp: with hidden layers (default: auto)", FAMILIES))
    .option("--hidden <units>", "relu units of each hidden layer of an mlp, e.g. 128,64", wholeNumbers)
    .option("--base-model <model/version>", "registered model to teach on: text-classifier, causal-lm, imported")
    .option("--freeze <patterns>", 'parameters that stay as they are, e.g. "encoder.*"', collect)
    .option("--lora-rank <n>", "train small matrices of this rank beside the base model's", wholeNumber(1))
    .addOption(choice("--optimizer <optimizer>", "how the weights move (default: adam)", OPTIMIZERS))
    .option("--learning-rate <rate>", "default: by family and optimizer, 0.001 for an mlp with adam", numberWithin(0, 1_000))
    .option("--momentum <share>", "momentum of sgd and rmsprop", numberWithin(0, 1))
    .option("--weight-decay <factor>", "pulls the weights to 0", numberWithin(0, 1_000))
    .addOption(choice("--loss <loss>", "default: cross-entropy for classes, mse for numbers", LOSSES))
    .addOption(choice("--schedule <shape>", "how the learning rate changes (default: constant)", SCHEDULES))
    .option("--warmup <steps>", "steps in which the rate first rises", wholeNumber(0))
    .option("--epochs <n>", "passes over the data (default: 10; more for small data)", wholeNumber(1))
    .option("--max-steps <n>", "ends after so many steps", wholeNumber(1))
    .option("--batch-size <n>", "rows a step (default: 32)", wholeNumber(1))
    .option("--accumulate <n>", "batches added up for one step", wholeNumber(1))
    .option("--clip-norm <length>", "shortens longer gradients", numberWithin(0, 1e9))
    .option("--dropout <share>", "of hidden values dropped in each step", numberWithin(0, 1))
    .option("--label-smoothing <share>", "of the truth spread over all classes", numberWithin(0, 1))
    .option("--ema <decay>", "the result is a moving average of the weights, e.g. 0.999", numberWithin(0, 1))
    .option("--patience <n>", "stop early after n evaluations without improvement; the best weights are kept", wholeNumber(1))
    .option("--stop-metric <name>", "what --patience watches (default: validation_loss)")
    .option("--validation <share>", "share of rows kept for the evaluation (default: 0.2)", numberWithin(0, 0.9))
    .option("--split <id>", "stored split of the data set, instead of a share")
    .option("--seed <n>", "of split, first weights and order; the same seed gives the same model", wholeNumber(0))
    .option("--threads <n>", "threads of onnxruntime (default: 1); part of the record", wholeNumber(1))
    .option("--max-length <tokens>", "longer texts are cut (default: 128)", wholeNumber(1))
    .option("--impute <how>", "what a missing number becomes: mean, median or a number (default: mean)", imputation)
    .option("--missing-indicator", "a second feature says where a number was missing")
    .addOption(choice("--scale <how>", "how numbers are brought to one size (default: standard)", SCALINGS))
    .addOption(choice("--encode <how>", "how categories become numbers (default: one-hot)", ENCODINGS))
    .option("--checkpoint-every <steps>", "steps between checkpoints (default: by time)", wholeNumber(1))
    .option("--priority <n>", "higher goes first among the project's jobs, -100 to 100", numberWithin(-100, 100))
    .option("--time-limit <duration>", "the job fails beyond it, e.g. 30m", durationMs)
    .option("--memory-limit <size>", "the job fails beyond it, e.g. 2GiB", sizeBytes)
    .option("--cost-limit <price>", "the job fails beyond it", numberWithin(0, 1e12));
}

/** The specification of a file with what the flags say laid over it. */
export function specOf(options: TrainSpecOptions, file: TrainingSpec | undefined, project: string): TrainingSpec {
  const spec = file ?? create(TrainingSpecSchema);
  const { schedule, warmup, patience, stopMetric, loraRank, checkpointEvery, hidden } = options;
  const family = options.family ?? (hidden === undefined ? undefined : "mlp");
  const said = defined({
    targetColumn: options.target,
    positiveClass: options.positiveClass,
    textColumn: options.textColumn,
    family: family && FAMILIES[family],
    hiddenUnits: hidden && [...hidden],
    baseModel: options.baseModel && baseModelName(options.baseModel, project),
    frozenParameters: options.freeze && [...options.freeze],
    lowRankAdaptation: loraRank === undefined ? undefined : { ...spec.lowRankAdaptation, rank: loraRank },
    optimizer: options.optimizer && OPTIMIZERS[options.optimizer],
    learningRate: options.learningRate,
    momentum: options.momentum,
    weightDecay: options.weightDecay,
    loss: options.loss && LOSSES[options.loss],
    schedule: schedule === undefined && warmup === undefined ? undefined : { ...spec.schedule, ...defined({ shape: schedule && SCHEDULES[schedule], warmupSteps: warmup === undefined ? undefined : BigInt(warmup) }) },
    epochCount: options.epochs,
    stepCountMax: options.maxSteps === undefined ? undefined : BigInt(options.maxSteps),
    batchSize: options.batchSize,
    accumulationCount: options.accumulate,
    clipNorm: options.clipNorm,
    dropout: options.dropout,
    labelSmoothing: options.labelSmoothing,
    emaDecay: options.ema,
    earlyStopping: patience === undefined && stopMetric === undefined ? undefined : { ...spec.earlyStopping, ...defined({ patience, metric: stopMetric }) },
    validationFraction: options.validation,
    split: options.split,
    seed: options.seed === undefined ? undefined : BigInt(options.seed),
    threadCount: options.threads,
    maxSequenceLength: options.maxLength,
    preprocessing: preprocessingOf(options, spec),
    checkpointPolicy: checkpointEvery === undefined ? undefined : { ...spec.checkpointPolicy, intervalSteps: BigInt(checkpointEvery) },
  });
  return create(TrainingSpecSchema, { ...spec, ...said } as MessageInitShape<typeof TrainingSpecSchema>);
}

/** What a file says of columns with the flags laid over it; the columns that the file names keep what is theirs. */
function preprocessingOf({ impute, missingIndicator, scale, encode }: TrainSpecOptions, { preprocessing }: TrainingSpec): MessageInitShape<typeof PreprocessingSchema> | undefined {
  if (impute === undefined && missingIndicator === undefined && scale === undefined && encode === undefined) return undefined;
  const { constant, ...rest } = preprocessing ?? create(PreprocessingSchema);
  const imputed =
    impute === undefined
      ? defined({ constant })
      : typeof impute === "number"
        ? { imputation: Preprocessing_Imputation.CONSTANT, constant: impute }
        : { imputation: impute === "median" ? Preprocessing_Imputation.MEDIAN : Preprocessing_Imputation.MEAN };
  return { ...rest, ...imputed, ...defined({ missingIndicator, scaling: scale && SCALINGS[scale], encoding: encode && ENCODINGS[encode] }) };
}

/** What the flags say of bounds. */
export function limitsOf({ timeLimit, memoryLimit, costLimit }: TrainJobOptions): MessageInitShape<typeof TrainingLimitsSchema> | undefined {
  if (timeLimit === undefined && memoryLimit === undefined && costLimit === undefined) return undefined;
  return defined({ runDuration: timeLimit === undefined ? undefined : durationFromMs(timeLimit), memoryBytes: memoryLimit === undefined ? undefined : BigInt(memoryLimit), cost: costLimit });
}

/** "bert/3" is a version of this project; full names stay. */
function baseModelName(name: string, project: string): string {
  if (name.startsWith("projects/")) return name;
  const [model = "", version = ""] = name.split("/");
  if (version === "") throw new StatusError("FIELD_INVALID", `--base-model "${name}" names no version: write MODEL/VERSION, e.g. ${model}/1, or MODEL/ALIAS`, { metadata: { field: "base_model" } });
  return `projects/${project}/models/${model}/versions/${version}`;
}

function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}
