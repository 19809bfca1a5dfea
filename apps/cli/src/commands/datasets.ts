import { toJson } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import { DatasetSchema, DatasetSplitSchema, DatasetSplit_Method, Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { settingsOf, uploadFiles, withColumns, withDatasetFiles, type ColumnOptions, type DatasetFileOptions } from "../dataset-files.ts";
import { numberWithin, wholeNumber } from "../option-parsers.ts";
import { renderDataset, renderSplits } from "../render/dataset.ts";
import { formatBytes, formatTime, renderTable } from "../render/table.ts";
import { createUploadProgress } from "../render/upload-progress.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

const METHODS = { random: DatasetSplit_Method.RANDOM, stratified: DatasetSplit_Method.STRATIFIED, group: DatasetSplit_Method.GROUP, time: DatasetSplit_Method.TIME, given: DatasetSplit_Method.GIVEN } as const;

interface SplitOptions extends CommonOptions {
  readonly name: string;
  readonly method: keyof typeof METHODS;
  readonly by?: string;
  readonly validation?: number;
  readonly test?: number;
  readonly seed?: number;
}

/** `servable datasets …`: what models learn from. */
export function datasetsCommand(terminal: Terminal): Command {
  return new Command("datasets")
    .description("Upload, show, divide, list and delete data sets.")
    .addHelpText(
      "after",
      `
A data set has versions: uploading under an id that exists (--new-version), or reading its files in another way (update),
makes the next one. "people" is the newest version, "people/versions/2" a certain one.

Examples:
  $ servable datasets upload penguins --data penguins.csv --missing NA
  $ servable datasets upload digits --images train-images-idx3-ubyte --labels train-labels-idx1-ubyte
  $ servable datasets upload flowers --data flowers.zip --picture-size 64x64
  $ servable datasets show penguins
  $ servable datasets split penguins --name by-island --method group --by island --test 0.1`,
    )
    .addCommand(uploadCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(splitCommand(terminal))
    .addCommand(versionsCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(deleteCommand(terminal));
}

function uploadCommand(terminal: Terminal): Command {
  return withCommonOptions(withDatasetFiles(new Command("upload")))
    .description("Upload a table, images with labels, texts or conversations; the whole file is checked before it counts.")
    .argument("<dataset>", "its id")
    .option("--description <text>", "what the data is")
    .option("--new-version", "the id may exist: what comes is its next version")
    .addHelpText("after", "\nExample:\n  $ servable datasets upload penguins --data penguins.csv --missing NA && servable train --dataset penguins --target species --name penguins")
    .action((dataset: string, options: CommonOptions & DatasetFileOptions & { description?: string; newVersion?: boolean }) =>
      withClient(options, terminal, async (client) => {
        const progress = createUploadProgress(options.json ? terminal.stderr : terminal.stdout);
        let isShown = false;
        const onProgress = (sentBytes: number, totalBytes: number): void => {
          if (!isShown) progress.start(dataset, totalBytes);
          isShown = true;
          progress.update(sentBytes);
        };
        const uploaded = await uploadFiles(client, dataset, options, { description: options.description, newVersion: options.newVersion, onProgress }).finally(() => progress.stop());
        if (options.json) return printJson(terminal, toJson(DatasetSchema, uploaded));
        printLine(terminal, renderDataset(uploaded));
      }),
    );
}

function showCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("show"))
    .description("Show a data set's columns, statistics, splits and warnings.")
    .argument("<dataset>", 'its id, or a version: "penguins/versions/2"')
    .action((dataset: string, options: CommonOptions) =>
      withClient(options, terminal, async (client) => {
        const found = await client.datasets.get(dataset);
        if (options.json) return printJson(terminal, toJson(DatasetSchema, found));
        printLine(terminal, renderDataset(found));
      }),
    );
}

function updateCommand(terminal: Terminal): Command {
  return withCommonOptions(withColumns(new Command("update")))
    .description("Read a data set's files in another way: a new version; nothing is sent again.")
    .argument("<dataset>")
    .option("--description <text>", "what the data is")
    .addHelpText("after", "\nExample:\n  $ servable datasets update titanic --categorical pclass --ignore alive")
    .action((dataset: string, options: CommonOptions & ColumnOptions & { description?: string }) =>
      withClient(options, terminal, async (client) => {
        const updated = await client.datasets.update(dataset, { ...settingsOf(options), description: options.description });
        if (options.json) return printJson(terminal, toJson(DatasetSchema, updated));
        printLine(terminal, renderDataset(updated));
      }),
    );
}

function splitCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("split"))
    .description("Divide the rows into training, validation and test, once and for good; jobs name the split.")
    .argument("<dataset>")
    .requiredOption("--name <split>", "the split's id")
    .addOption(new Option("--method <method>", "random; stratified: all parts have each class's share; group: rows of one value stay together; time: oldest for training; given: as the column says").choices(Object.keys(METHODS)).default("random"))
    .option("--by <column>", "column that the method looks at")
    .option("--validation <share>", "share of the rows for validation (default: 0.2)", numberWithin(0, 0.9))
    .option("--test <share>", "share of the rows for test (default: 0)", numberWithin(0, 0.9))
    .option("--seed <n>", "of the permutation; the same seed gives the same split (default: 0)", wholeNumber(0))
    .addHelpText("after", "\nExample:\n  $ servable datasets split people --name by-person --method group --by person --test 0.1 && servable train --dataset people --split by-person --target income --name income")
    .action((dataset: string, options: SplitOptions) =>
      withClient(options, terminal, async (client) => {
        const split = await client.datasets.split(dataset, { split: options.name, method: METHODS[options.method], column: options.by, validationFraction: options.validation, testFraction: options.test, seed: options.seed });
        if (options.json) return printJson(terminal, toJson(DatasetSplitSchema, split));
        printLine(terminal, renderSplits([split]));
      }),
    );
}

function versionsCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("versions"))
    .description("List the versions of a data set, newest first.")
    .argument("<dataset>")
    .action((dataset: string, options: CommonOptions) =>
      withClient(options, terminal, async (client) => {
        const versions = await client.datasets.versions(dataset);
        if (options.json) return printJson(terminal, versions.map((version) => toJson(DatasetSchema, version)));
        printLine(terminal, renderTable(["version", "rows", "splits", "digest", "made (UTC)"], versions.map(({ version, rowCount, splits, digest, createTime }) => [version, rowCount, splits.map(({ splitId }) => splitId).join(", "), digest.slice(0, 19), formatTime(createTime?.seconds)])));
      }),
    );
}

function listCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("list")).description("List the data sets of the project.").action((options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const datasets = await client.datasets.list();
      if (options.json) return printJson(terminal, datasets.map((dataset) => toJson(DatasetSchema, dataset)));
      if (datasets.length === 0) return printLine(terminal, "no data sets yet: servable datasets upload NAME --data FILE.csv");
      printLine(terminal, renderTable(["data set", "version", "format", "rows", "size", "uploaded (UTC)"], datasets.map((dataset) => [lastPart(dataset.name), dataset.version, Dataset_Format[dataset.format], dataset.rowCount, formatBytes(dataset.sizeBytes), formatTime(dataset.createTime?.seconds)])));
    }),
  );
}

function deleteCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("delete")).description("Delete a data set with all its versions; none may be used by a running job.").argument("<dataset>").action((dataset: string, options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      await client.datasets.delete(dataset);
      if (options.json) printJson(terminal, { deleted: dataset });
      else printLine(terminal, `${dataset} is deleted`);
    }),
  );
}
