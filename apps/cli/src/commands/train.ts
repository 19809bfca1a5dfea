import { toJson } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import type { ServableClient } from "@servable/client";
import { TrainingJobSchema, TrainingSpec_Family, TrainingSpec_Optimizer, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { ensureDataset, withDatasetFiles, type DatasetFileOptions } from "../dataset-files.ts";
import { exampleCall } from "../example-call.ts";
import { followJob } from "../follow-job.ts";
import { numberWithin, wholeNumber, wholeNumbers } from "../option-parsers.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

const FAMILIES = { auto: TrainingSpec_Family.UNSPECIFIED, logistic: TrainingSpec_Family.LOGISTIC_REGRESSION, softmax: TrainingSpec_Family.SOFTMAX_REGRESSION, mlp: TrainingSpec_Family.MLP } as const;
const OPTIMIZERS = { adam: TrainingSpec_Optimizer.ADAM, sgd: TrainingSpec_Optimizer.SGD } as const;

interface TrainCommandOptions extends CommonOptions, DatasetFileOptions {
  readonly dataset?: string;
  readonly target?: string;
  readonly positiveClass?: string;
  readonly name?: string;
  readonly family: keyof typeof FAMILIES;
  readonly hidden?: readonly number[];
  readonly optimizer: keyof typeof OPTIMIZERS;
  readonly learningRate?: number;
  readonly momentum?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly validation?: number;
  readonly seed?: number;
  readonly weightDecay?: number;
  readonly deploy?: boolean;
  readonly detach?: boolean;
  readonly watch?: string;
}

/** `servable train`: from a file to a registered model. */
export function trainCommand(terminal: Terminal): Command {
  return withCommonOptions(withDatasetFiles(new Command("train")))
    .description("Train a classifier on a CSV or on images, register it and, with --deploy, serve it.")
    .option("--dataset <id>", "data set that is already uploaded, instead of files")
    .option("--target <column>", "column of the CSV to predict")
    .option("--positive-class <class>", 'learn "this class against the rest"')
    .option("--name <model>", "model that the result becomes a version of")
    .addOption(new Option("--family <family>", "auto: logistic for two classes, softmax for more; mlp: with hidden layers").choices(Object.keys(FAMILIES)).default("auto"))
    .option("--hidden <units>", "relu units of each hidden layer of an mlp, e.g. 128,64", wholeNumbers)
    .addOption(new Option("--optimizer <optimizer>", "how the weights move").choices(Object.keys(OPTIMIZERS)).default("adam"))
    .option("--learning-rate <rate>", "default: 0.001 for an mlp with adam, else 0.01", numberWithin(0, 1_000))
    .option("--momentum <share>", "momentum of sgd", numberWithin(0, 1))
    .option("--epochs <n>", "passes over the data (default: 10; more for small data)", wholeNumber(1))
    .option("--batch-size <n>", "rows a step (default: 32)", wholeNumber(1))
    .option("--validation <share>", "share of rows kept for the evaluation (default: 0.2)", numberWithin(0, 0.9))
    .option("--seed <n>", "of split, first weights and order; the same seed gives the same model", wholeNumber(0))
    .option("--weight-decay <penalty>", "L2 penalty on the weights", numberWithin(0, 1_000))
    .option("--deploy", "serve the result under the model's name")
    .option("--detach", "queue the job and return")
    .option("--watch <job>", "show the progress of a job that runs")
    .addHelpText(
      "after",
      `
Columns are recognised as numbers or categories; missing cells, scaling and one-hot encoding become part of the model, so
that callers send raw values. Ctrl-C leaves the job running: take it up with --watch, or end it with \`servable jobs cancel\`.

Examples:
  $ servable train --data penguins.csv --target species --name penguins --epochs 60 --deploy
  $ servable train --images train-images-idx3-ubyte --labels train-labels-idx1-ubyte \\
      --positive-class 7 --family mlp --hidden 128 --epochs 10 --name is-seven
  $ servable train --watch j-4f7q2`,
    )
    .action((options: TrainCommandOptions) => withClient(options, terminal, (client) => train(client, options, terminal)));
}

async function train(client: ServableClient, options: TrainCommandOptions, terminal: Terminal): Promise<void> {
  const job = options.watch === undefined ? await createJob(client, options, terminal) : await client.training.get(options.watch);
  if (options.detach === true) {
    if (options.json) return printJson(terminal, toJson(TrainingJobSchema, job));
    return printLine(terminal, `${lastPart(job.name)} is queued\nNext: servable train --watch ${lastPart(job.name)}`);
  }
  // Progress is for people: with --json it goes to stderr, and stdout holds the job alone.
  const ended = await followJob(client, job.name, options.json ? terminal.stderr : terminal.stdout);
  const model = lastPart(ended.model);
  if (options.deploy === true) await client.deployments.deploy({ model });
  if (options.json) return printJson(terminal, toJson(TrainingJobSchema, ended));
  if (ended.evaluation !== undefined) printLine(terminal, renderEvaluation(ended.evaluation));
  const version = lastPart(ended.modelVersion);
  const next = options.deploy === true ? exampleCall(model, await client.models.version(model, version)) : `servable deploy ${model}`;
  printLine(terminal, `\n${model} version ${version} is registered${options.deploy === true ? " and served" : ""}\nNext: ${next}`);
}

async function createJob(client: ServableClient, options: TrainCommandOptions, terminal: Terminal): Promise<TrainingJob> {
  const { name } = options;
  if (name === undefined) throw new StatusError("FIELD_REQUIRED", "say which model the result belongs to: --name MODEL", { metadata: { field: "name" } });
  const dataset = options.dataset === undefined ? await ensureDataset(client, name, options) : await client.datasets.get(options.dataset);
  if (dataset.columns.length > 0 && options.target === undefined) {
    throw new StatusError("FIELD_REQUIRED", `say which column to predict: --target, one of ${dataset.columns.map((column) => column.name).join(", ")}`, { metadata: { field: "target" } });
  }
  const job = await client.training.create({
    dataset: dataset.name,
    model: name,
    spec: {
      targetColumn: options.target ?? "",
      positiveClass: options.positiveClass ?? "",
      family: options.hidden === undefined ? FAMILIES[options.family] : TrainingSpec_Family.MLP,
      hiddenUnits: [...(options.hidden ?? [])],
      optimizer: OPTIMIZERS[options.optimizer],
      learningRate: options.learningRate ?? 0,
      momentum: options.momentum ?? 0,
      epochCount: options.epochs ?? 0,
      batchSize: options.batchSize ?? 0,
      seed: BigInt(options.seed ?? 0),
      weightDecay: options.weightDecay ?? 0,
      ...(options.validation === undefined ? {} : { validationFraction: options.validation }),
    },
  });
  if (!options.json) printLine(terminal, `${lastPart(job.name)}: ${dataset.rowCount} rows of ${lastPart(dataset.name)}`);
  return job;
}
