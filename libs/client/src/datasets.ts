import type { MessageInitShape } from "@bufbuild/protobuf";
import { DatasetSplit_Method, Dataset_BadRowPolicy, type Column_Kind, type Dataset, type DatasetSchema, type DatasetSplit, type Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { TrainingService, type UploadDatasetRequestSchema } from "@servable/contracts/training/v1/training";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { digestOf, fileChunks } from "./file-chunks.ts";

/** What to upload. */
export interface UploadDatasetOptions extends ClientCallOptions {
  /** Id of the data set. */
  readonly dataset: string;
  readonly format: Dataset_Format;
  /** Path by role: `{ images, labels }` for IDX and NPY, `{ data }` for all others. */
  readonly files: Readonly<Record<string, string>>;
  readonly description?: string | undefined;
  /** Columns whose inferred kind is to be overridden. */
  readonly columns?: readonly { readonly name: string; readonly kind: Column_Kind }[] | undefined;
  /** Cells that mean "missing" besides the empty one. */
  readonly missingValues?: readonly string[] | undefined;
  /** Names of the columns of a CSV that has no header line. */
  readonly header?: readonly string[] | undefined;
  /** Rows that cannot be read are left out and listed, instead of refusing the upload. @default false */
  readonly skipBadRows?: boolean | undefined;
  /** Size that the pictures of a zip are brought to: [height, width] or [height, width, channels]. */
  readonly imageShape?: readonly number[] | undefined;
  /** The data set may exist: what comes is its next version. @default false */
  readonly newVersion?: boolean | undefined;
  /** Told how far the sending is; a repeated one begins anew. */
  readonly onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined;
}

/** What a new version reads in another way. */
export interface UpdateDatasetOptions extends ClientCallOptions, Pick<UploadDatasetOptions, "description" | "columns" | "missingValues" | "skipBadRows" | "imageShape"> {}

/** How rows are divided. */
export interface SplitDatasetOptions extends ClientCallOptions {
  /** The split's id within the version. */
  readonly split: string;
  /** @default random */
  readonly method?: DatasetSplit_Method | undefined;
  readonly column?: string | undefined;
  /** @default 0.2 */
  readonly validationFraction?: number | undefined;
  /** @default 0 */
  readonly testFraction?: number | undefined;
  /** @default 0 */
  readonly seed?: number | undefined;
}

/** Data sets and their versions. */
export class Datasets {
  readonly #connection: Connection;
  readonly #training: Client<typeof TrainingService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#training = connection.client(TrainingService);
  }

  /**
   * Uploads files as one data set, streaming.
   *
   * @throws StatusError `ALREADY_EXISTS`, `DATASET_MALFORMED` with the line, `DATASET_TOO_LARGE`, `FIELD_INVALID` (no such file)
   * @example await client.datasets.upload({ dataset: "iris", format: Dataset_Format.CSV, files: { data: "iris.csv" } });
   */
  async upload(options: UploadDatasetOptions): Promise<Dataset> {
    const files = await Promise.all(Object.entries(options.files).map(async ([role, path]) => ({ role, path, ...(await digestOf(path)) })));
    // Nothing is kept of a broken upload, so it may be sent again.
    return this.#connection.retrying(() => this.#training.uploadDataset(uploadOf(this.#connection.parent, options, files), untimed(options)), options);
  }

  /**
   * Reads the same files in another way: a new version.
   *
   * @throws StatusError `DATASET_NOT_FOUND`, `DATASET_MALFORMED`, `FIELD_INVALID`
   * @example await client.datasets.update("iris", { columns: [{ name: "species", kind: Column_Kind.CATEGORICAL }] });
   */
  async update(dataset: string, { description, columns, missingValues, skipBadRows, imageShape, ...options }: UpdateDatasetOptions): Promise<Dataset> {
    const paths = Object.entries({ description, columns, missing_values: missingValues, bad_row_policy: skipBadRows, image_shape: imageShape }).flatMap(([path, value]) => (value === undefined ? [] : [path]));
    const changes = settingsOf({ description, columns, missingValues, skipBadRows, imageShape });
    return this.#training.updateDataset({ dataset: { ...changes, name: this.#connection.name("datasets", dataset) }, updateMask: { paths } }, untimed(options));
  }

  /** The versions of a data set, newest first. */
  versions(dataset: string, options: ClientCallOptions = {}): Promise<Dataset[]> {
    const parent = this.#connection.name("datasets", dataset);
    return allPages(async (pageToken) => {
      const { datasets, nextPageToken } = await this.#connection.retrying(() => this.#training.listDatasetVersions({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: datasets, nextPageToken };
    });
  }

  /**
   * Divides the rows into training, validation and test, once and for good; jobs name the split.
   *
   * @throws StatusError `ALREADY_EXISTS`, `SPLIT_IMPOSSIBLE`, `FIELD_INVALID`
   * @example await client.datasets.split("people", { split: "by-person", method: DatasetSplit_Method.GROUP, column: "person" });
   */
  async split(dataset: string, { split: splitId, method = DatasetSplit_Method.UNSPECIFIED, column = "", validationFraction, testFraction = 0, seed = 0, ...options }: SplitDatasetOptions): Promise<DatasetSplit> {
    const split = { splitId, method, column, testFraction, seed: BigInt(seed), ...(validationFraction === undefined ? {} : { validationFraction }) };
    return this.#training.createDatasetSplit({ parent: this.#connection.name("datasets", dataset), split }, untimed(options));
  }

  /** A data set, "iris", or one of its versions, "iris/versions/2". */
  get(dataset: string, options: ClientCallOptions = {}): Promise<Dataset> {
    return this.#connection.retrying(() => this.#training.getDataset({ name: this.#connection.name("datasets", dataset) }, options), options);
  }

  list(options: ClientCallOptions = {}): Promise<Dataset[]> {
    const { parent } = this.#connection;
    return allPages(async (pageToken) => {
      const { datasets, nextPageToken } = await this.#connection.retrying(() => this.#training.listDatasets({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: datasets, nextPageToken };
    });
  }

  async delete(dataset: string, options: ClientCallOptions = {}): Promise<void> {
    await this.#training.deleteDataset({ name: this.#connection.name("datasets", dataset) }, options);
  }
}

async function* uploadOf(parent: string, options: UploadDatasetOptions, files: readonly { readonly role: string; readonly path: string; readonly sha256: string; readonly sizeBytes: number }[]): AsyncGenerator<MessageInitShape<typeof UploadDatasetRequestSchema>> {
  const { dataset, format, newVersion = false, header = [], onProgress } = options;
  yield { payload: { case: "head", value: { parent, datasetId: dataset, newVersion, dataset: { ...settingsOf(options), format, header: [...header] } } } };
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let sentBytes = 0;
  for (const { role, path, sha256 } of files) {
    yield { payload: { case: "file", value: { role, sha256 } } };
    for await (const chunk of fileChunks(path)) {
      yield { payload: { case: "chunk", value: chunk } };
      sentBytes += chunk.length;
      onProgress?.(sentBytes, totalBytes);
    }
  }
}

function settingsOf({ description = "", columns = [], missingValues = [], skipBadRows, imageShape = [] }: Pick<UploadDatasetOptions, "description" | "columns" | "missingValues" | "skipBadRows" | "imageShape">): MessageInitShape<typeof DatasetSchema> {
  return {
    description,
    columns: columns.map((column) => ({ ...column })),
    missingValues: [...missingValues],
    imageShape: imageShape.map(BigInt),
    badRowPolicy: skipBadRows === undefined ? Dataset_BadRowPolicy.UNSPECIFIED : skipBadRows ? Dataset_BadRowPolicy.SKIP : Dataset_BadRowPolicy.REFUSE,
  };
}
