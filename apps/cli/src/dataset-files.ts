import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Option, type Command } from "commander";
import type { ServableClient, UploadDatasetOptions } from "@servable/client";
import { Column_Kind, Dataset_Format, type Dataset } from "@servable/contracts/training/v1/dataset";
import { StatusError } from "@servable/errors";
import { DATASET_FORMATS, formatOf } from "./dataset-format.ts";
import { collect, pictureSize } from "./option-parsers.ts";

/** How the columns of a table are named on the command line. */
export interface ColumnOptions {
  readonly numeric?: readonly string[];
  readonly categorical?: readonly string[];
  readonly boolean?: readonly string[];
  readonly datetime?: readonly string[];
  readonly text?: readonly string[];
  readonly ignore?: readonly string[];
  readonly missing?: readonly string[];
  readonly skipBadRows?: boolean;
  readonly pictureSize?: readonly number[];
}

/** How a data set is named on the command line. */
export interface DatasetFileOptions extends ColumnOptions {
  /** A file that is a data set by itself. */
  readonly data?: string;
  readonly format?: keyof typeof DATASET_FORMATS;
  readonly images?: string;
  readonly labels?: string;
  readonly header?: readonly string[];
}

/** Adds the options of {@link DatasetFileOptions}. */
export function withDatasetFiles(command: Command): Command {
  return withColumns(
    command
      .option("--data <file>", "CSV, JSONL, Parquet, NPZ, a zip of class folders of pictures, text, or conversations (JSONL)")
      .addOption(new Option("--format <format>", "what the file holds (default: by its first bytes and its name)").choices(Object.keys(DATASET_FORMATS)))
      .option("--images <file>", "images as IDX (MNIST's form, plain or gzip) or .npy")
      .option("--labels <file>", "their labels, same form")
      .option("--header <names>", "names of the columns of a CSV that has no header line", collect),
  );
}

/** Adds the options of {@link ColumnOptions}. */
export function withColumns(command: Command): Command {
  return command
    .option("--numeric <columns>", "columns that hold numbers, where the guess is wrong", collect)
    .option("--categorical <columns>", "columns that hold one of few texts, where the guess is wrong", collect)
    .option("--boolean <columns>", "columns that hold yes or no, where the guess is wrong", collect)
    .option("--datetime <columns>", "columns that hold ISO 8601 dates, where the guess is wrong", collect)
    .option("--text <columns>", "columns that hold free text, where the guess is wrong", collect)
    .option("--ignore <columns>", "columns not to learn from", collect)
    .option("--missing <texts>", 'cells that mean "missing" besides the empty one, e.g. NA,?', collect)
    .option("--skip-bad-rows", "leave out rows that cannot be read and list them, instead of refusing the file")
    .option("--picture-size <height>x<width>", "size that the pictures of a zip are brought to, e.g. 64x64 or 28x28x1 for grey", pictureSize);
}

/** Uploads the files under an id. */
export async function uploadFiles(client: ServableClient, dataset: string, options: DatasetFileOptions, more: Partial<UploadDatasetOptions> = {}): Promise<Dataset> {
  return client.datasets.upload({ dataset, ...(await layoutOf(options)), ...settingsOf(options), header: options.header, ...more });
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

/** What the options say of how files are read; undefined where they say nothing. */
export function settingsOf(options: ColumnOptions): Pick<UploadDatasetOptions, "columns" | "missingValues" | "skipBadRows" | "imageShape"> {
  const columns = columnsOf(options);
  return { columns: columns.length === 0 ? undefined : columns, missingValues: options.missing, skipBadRows: options.skipBadRows, imageShape: options.pictureSize };
}

/** Format and roles. @throws StatusError `FIELD_REQUIRED` when neither a file nor images with labels are given */
async function layoutOf({ data, images, labels, format }: DatasetFileOptions): Promise<{ format: Dataset_Format; files: Record<string, string> }> {
  if (data !== undefined && images === undefined && labels === undefined) return { format: format === undefined ? await formatOf(data) : DATASET_FORMATS[format], files: { data } };
  if (data === undefined && images !== undefined && labels !== undefined) {
    return { format: images.endsWith(".npy") ? Dataset_Format.NPY : Dataset_Format.IDX, files: { images, labels } };
  }
  throw new StatusError("FIELD_REQUIRED", "say what to learn from: --data FILE, or --images FILE with --labels FILE");
}

function columnsOf({ numeric = [], categorical = [], boolean = [], datetime = [], text = [], ignore = [] }: ColumnOptions): { name: string; kind: Column_Kind }[] {
  const of = (names: readonly string[], kind: Column_Kind): { name: string; kind: Column_Kind }[] => names.map((name) => ({ name, kind }));
  return [...of(numeric, Column_Kind.NUMERIC), ...of(categorical, Column_Kind.CATEGORICAL), ...of(boolean, Column_Kind.BOOLEAN), ...of(datetime, Column_Kind.DATETIME), ...of(text, Column_Kind.TEXT), ...of(ignore, Column_Kind.IGNORED)];
}

async function contentKey(options: DatasetFileOptions): Promise<string> {
  const { format, files } = await layoutOf(options);
  const { header = [], missing = [], skipBadRows = false, pictureSize: size = [] } = options;
  const hash = createHash("sha256").update(JSON.stringify([format, columnsOf(options), missing, ...(header.length + size.length > 0 || skipBadRows ? [header, skipBadRows, size] : [])]));
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
