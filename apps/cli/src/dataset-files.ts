import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Command } from "commander";
import type { ServableClient } from "@servable/client";
import { Column_Kind, Dataset_Format, type Dataset } from "@servable/contracts/training/v1/dataset";
import { StatusError } from "@servable/errors";
import { collect } from "./option-parsers.ts";

/** How a data set is named on the command line. */
export interface DatasetFileOptions {
  /** A CSV. */
  readonly data?: string;
  readonly images?: string;
  readonly labels?: string;
  readonly numeric?: readonly string[];
  readonly categorical?: readonly string[];
  readonly ignore?: readonly string[];
  readonly missing?: readonly string[];
}

/** Adds the options of {@link DatasetFileOptions}. */
export function withDatasetFiles(command: Command): Command {
  return command
    .option("--data <file.csv>", "CSV with a header line")
    .option("--images <file>", "images as IDX (MNIST's form, plain or gzip) or .npy")
    .option("--labels <file>", "their labels, same form")
    .option("--numeric <columns>", "columns that hold numbers, where the guess is wrong", collect)
    .option("--categorical <columns>", "columns that hold one of few texts, where the guess is wrong", collect)
    .option("--ignore <columns>", "columns not to learn from", collect)
    .option("--missing <texts>", 'cells that mean "missing" besides the empty one, e.g. NA,?', collect);
}

/** Uploads the files under an id. */
export async function uploadFiles(client: ServableClient, dataset: string, options: DatasetFileOptions, description = ""): Promise<Dataset> {
  return client.datasets.upload({ dataset, description, ...layoutOf(options), columns: columnsOf(options), missingValues: options.missing });
}

/**
 * Uploads the files under an id made of `prefix` and their content, or finds that they are there: training twice on one
 * file makes one data set.
 */
export async function ensureDataset(client: ServableClient, prefix: string, options: DatasetFileOptions): Promise<Dataset> {
  const dataset = `${prefix.slice(0, 50)}-${await contentKey(options)}`;
  try {
    return await uploadFiles(client, dataset, options);
  } catch (error) {
    if (error instanceof StatusError && error.reason === "ALREADY_EXISTS") return client.datasets.get(dataset);
    throw error;
  }
}

/** Format and roles. @throws StatusError `FIELD_REQUIRED` when neither a CSV nor images with labels are given */
function layoutOf({ data, images, labels }: DatasetFileOptions): { format: Dataset_Format; files: Record<string, string> } {
  if (data !== undefined && images === undefined && labels === undefined) return { format: Dataset_Format.CSV, files: { data } };
  if (data === undefined && images !== undefined && labels !== undefined) {
    return { format: images.endsWith(".npy") ? Dataset_Format.NPY : Dataset_Format.IDX, files: { images, labels } };
  }
  throw new StatusError("FIELD_REQUIRED", "say what to learn from: --data FILE.csv, or --images FILE with --labels FILE");
}

function columnsOf({ numeric = [], categorical = [], ignore = [] }: DatasetFileOptions): { name: string; kind: Column_Kind }[] {
  return [
    ...numeric.map((name) => ({ name, kind: Column_Kind.NUMERIC })),
    ...categorical.map((name) => ({ name, kind: Column_Kind.CATEGORICAL })),
    ...ignore.map((name) => ({ name, kind: Column_Kind.IGNORED })),
  ];
}

async function contentKey(options: DatasetFileOptions): Promise<string> {
  const { format, files } = layoutOf(options);
  const hash = createHash("sha256").update(JSON.stringify([format, columnsOf(options), options.missing ?? []]));
  for (const [role, path] of Object.entries(files)) {
    hash.update(role);
    try {
      for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
    } catch (error) {
      throw new StatusError("FIELD_INVALID", `${path} cannot be read: ${(error as Error).message}`, { metadata: { field: role }, cause: error });
    }
  }
  return hash.digest("hex").slice(0, 10);
}
