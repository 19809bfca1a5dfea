import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { Column_Kind, DatasetSchema, Dataset_Format, type Dataset } from "@servable/contracts/training/v1/dataset";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { uploadFiles, withDatasetFiles, type DatasetFileOptions } from "../dataset-files.ts";
import { formatBytes, formatTime, renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable datasets …`: what models learn from. */
export function datasetsCommand(terminal: Terminal): Command {
  return new Command("datasets")
    .description("Upload, list and delete data sets.")
    .addHelpText("after", "\nExamples:\n  $ servable datasets upload penguins --data penguins.csv --missing NA\n  $ servable datasets upload digits --images train-images-idx3-ubyte --labels train-labels-idx1-ubyte\n  $ servable datasets list")
    .addCommand(uploadCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(deleteCommand(terminal));
}

function uploadCommand(terminal: Terminal): Command {
  return withCommonOptions(withDatasetFiles(new Command("upload")))
    .description("Upload a CSV, or images with labels; the whole file is checked before it counts.")
    .argument("<dataset>", "its id")
    .option("--description <text>", "what the data is")
    .addHelpText("after", "\nExample:\n  $ servable datasets upload penguins --data penguins.csv --missing NA && servable train --dataset penguins --target species --name penguins")
    .action((dataset: string, options: CommonOptions & DatasetFileOptions & { description?: string }) =>
      withClient(options, terminal, async (client) => {
        const uploaded = await uploadFiles(client, dataset, options, options.description);
        if (options.json) return printJson(terminal, toJson(DatasetSchema, uploaded));
        printLine(terminal, describe(uploaded));
      }),
    );
}

function listCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("list")).description("List the data sets of the project.").action((options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const datasets = await client.datasets.list();
      if (options.json) return printJson(terminal, datasets.map((dataset) => toJson(DatasetSchema, dataset)));
      if (datasets.length === 0) return printLine(terminal, "no data sets yet: servable datasets upload NAME --data FILE.csv");
      printLine(terminal, renderTable(["data set", "format", "rows", "size", "uploaded (UTC)"], datasets.map((dataset) => [lastPart(dataset.name), Dataset_Format[dataset.format], dataset.rowCount, formatBytes(dataset.sizeBytes), formatTime(dataset.createTime?.seconds)])));
    }),
  );
}

function deleteCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("delete")).description("Delete a data set that no running job uses.").argument("<dataset>").action((dataset: string, options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      await client.datasets.delete(dataset);
      if (options.json) printJson(terminal, { deleted: dataset });
      else printLine(terminal, `${dataset} is deleted`);
    }),
  );
}

function describe(dataset: Dataset): string {
  const head = `${lastPart(dataset.name)}: ${dataset.rowCount} ${dataset.imageShape.length > 0 ? `images of ${dataset.imageShape.join("×")}, classes ${dataset.labelClasses.join(", ")}` : "rows"}, ${formatBytes(dataset.sizeBytes)}`;
  if (dataset.columns.length === 0) return head;
  const rows = dataset.columns.map(({ name, kind, missingCount, categories, mean, standardDeviation }) => [
    name,
    Column_Kind[kind].toLowerCase(),
    missingCount,
    kind === Column_Kind.NUMERIC ? `mean ${mean.toPrecision(4)}, deviation ${standardDeviation.toPrecision(4)}` : categories.slice(0, 6).join(", ") + (categories.length > 6 ? ", …" : ""),
  ]);
  return `${head}\n\n${renderTable(["column", "kind", "missing", "values"], rows)}`;
}
