import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import type { ServableClient, TrainOptions } from "@servable/client";
import { Dataset_Format, type Dataset } from "@servable/contracts/training/v1/dataset";
import { CostEstimateSchema, TrainingJobSchema, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { ensureDataset, withDatasetFiles, type DatasetFileOptions } from "../dataset-files.ts";
import { exampleCall } from "../example-call.ts";
import { followJob } from "../follow-job.ts";
import { readJobFile } from "../job-file.ts";
import { renderEstimate } from "../render/estimate.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { limitsOf, specOf, withTrainOptions, type TrainJobOptions, type TrainSpecOptions } from "../train-options.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface TrainCommandOptions extends CommonOptions, DatasetFileOptions, TrainSpecOptions, TrainJobOptions {
  readonly file?: string;
  readonly dataset?: string;
  readonly name?: string;
  readonly deploy?: boolean;
  readonly detach?: boolean;
  readonly estimate?: boolean;
  readonly watch?: string;
}

/** `servable train`: from a file to a registered model. */
export function trainCommand(terminal: Terminal): Command {
  const command = withCommonOptions(withDatasetFiles(new Command("train")))
    .description("Train a model on a table, images or texts, register it and, with --deploy, serve it.")
    .option("--dataset <id>", "data set that is already uploaded, instead of files")
    .option("--name <model>", "model that the result becomes a version of")
    .option("--file <job.yaml>", "a job as YAML or JSON, for what flags cannot say; flags win over it")
    .option("--deploy", "serve the result under the model's name")
    .option("--detach", "queue the job and return")
    .option("--estimate", "measure a few steps and say what the job would need, without starting it")
    .option("--watch <job>", "show the progress of a job that runs")
    .addHelpText(
      "after",
      `
Columns are recognised as numbers or categories; missing cells, scaling and one-hot encoding become part of the model, so
that callers send raw values. --impute, --scale and --encode choose how for all columns, a job file for each one. Ctrl-C
leaves the job running: take it up with --watch, or end it with \`servable jobs cancel\`.

Examples:
  $ servable train --data penguins.csv --target species --name penguins --epochs 60 --deploy
  $ servable train --images train-images-idx3-ubyte --labels train-labels-idx1-ubyte \\
      --positive-class 7 --family mlp --hidden 128 --epochs 10 --name is-seven
  $ servable train --dataset reviews --target label --family text-classifier --base-model bert-mini/1 \\
      --lora-rank 8 --epochs 3 --schedule linear --warmup 100 --name review-classifier
  $ servable train --data penguins.csv --target species --name penguins --impute median --scale min-max --encode ordinal
  $ servable train --file job.yaml --estimate
  $ servable train --watch j-4f7q2

A job file has the fields of the contract (docs/guides/training.md lists them):
  dataset: penguins
  model: penguins
  priority: 10
  limits: { run_duration: 1800s, memory_bytes: 2000000000 }
  spec:
    target_column: species
    family: MLP
    hidden_units: [64, 32]
    optimizer: ADAMW
    schedule: { shape: COSINE, warmup_steps: 100 }
    early_stopping: { metric: accuracy, patience: 5 }
    preprocessing: { imputation: MEDIAN, columns: [{ column: island, encoding: ORDINAL }] }`,
    );
  return withTrainOptions(command)
    .action((options: TrainCommandOptions) => withClient(options, terminal, (client) => train(client, options, terminal)));
}

async function train(client: ServableClient, options: TrainCommandOptions, terminal: Terminal): Promise<void> {
  if (options.estimate === true) return estimate(client, options, terminal);
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
  if (ended.modelVersion === "") return printLine(terminal, `\n${lastPart(ended.name)} has ended; nothing is registered of it`);
  const version = lastPart(ended.modelVersion);
  const next = options.deploy === true ? exampleCall(model, await client.models.version(model, version)) : `servable deploy ${model}`;
  printLine(terminal, `\n${model} version ${version} is registered${options.deploy === true ? " and served" : ""}\nNext: ${next}`);
}

async function estimate(client: ServableClient, options: TrainCommandOptions, terminal: Terminal): Promise<void> {
  const answer = await client.training.estimate((await askedJob(client, options)).job);
  if (options.json) return printJson(terminal, toJson(CostEstimateSchema, answer));
  printLine(terminal, renderEstimate(answer));
}

async function createJob(client: ServableClient, options: TrainCommandOptions, terminal: Terminal): Promise<TrainingJob> {
  const { job: asked, dataset } = await askedJob(client, options);
  const job = await client.training.create(asked);
  if (!options.json) printLine(terminal, `${lastPart(job.name)}: ${dataset.rowCount} rows of ${lastPart(dataset.name)}`);
  return job;
}

/** The job that file and flags ask for; files of data are uploaded. */
async function askedJob(client: ServableClient, options: TrainCommandOptions): Promise<{ job: TrainOptions; dataset: Dataset }> {
  const file = options.file === undefined ? undefined : await readJobFile(options.file);
  const model = options.name ?? (file?.model === "" ? undefined : file?.model);
  if (model === undefined) throw new StatusError("FIELD_REQUIRED", "say which model the result belongs to: --name MODEL, or `model` in the file", { metadata: { field: "name" } });
  const known = options.dataset ?? (file?.dataset === "" ? undefined : file?.dataset);
  const dataset = known === undefined ? await ensureDataset(client, lastPart(model), options) : await client.datasets.get(known);
  const spec = specOf(options, file?.spec, projectOf(dataset));
  if (needsTarget(dataset) && spec.targetColumn === "" && Object.keys(spec.hyperparameters).length === 0) {
    throw new StatusError("FIELD_REQUIRED", `say which column to predict: --target, one of ${dataset.columns.map((column) => column.name).join(", ")}`, { metadata: { field: "target" } });
  }
  const job: TrainOptions = {
    dataset: known ?? dataset.name,
    model,
    spec,
    job: file?.name === "" || file === undefined ? undefined : lastPart(file.name),
    priority: options.priority ?? file?.priority,
    labels: file?.labels,
    limits: limitsOf(options) ?? file?.limits,
  };
  return { job, dataset };
}

/** The project of a resource, by its name. */
function projectOf({ name }: Dataset): string {
  return name.split("/")[1] ?? "default";
}

/** Tables are predicted by a column; images, texts and conversations say themselves what is learned. */
function needsTarget({ columns, format }: Dataset): boolean {
  return columns.length > 0 && format !== Dataset_Format.TEXT && format !== Dataset_Format.CHAT;
}
