import type { MessageInitShape } from "@bufbuild/protobuf";
import { Dataset_Format, type Column_Kind, type Dataset } from "@servable/contracts/training/v1/dataset";
import { TrainingService, type UploadDatasetRequestSchema } from "@servable/contracts/training/v1/training";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { digestOf, fileChunks } from "./file-chunks.ts";

/** What to upload. */
export interface UploadDatasetOptions extends ClientCallOptions {
  /** Id of the data set. */
  readonly dataset: string;
  readonly format: Dataset_Format;
  /** Path by role: `{ data }` for CSV, `{ images, labels }` for IDX and NPY. */
  readonly files: Readonly<Record<string, string>>;
  readonly description?: string | undefined;
  /** Columns whose inferred kind is to be overridden. */
  readonly columns?: readonly { readonly name: string; readonly kind: Column_Kind }[] | undefined;
  /** Cells that mean "missing" besides the empty one. */
  readonly missingValues?: readonly string[] | undefined;
}

/** Immutable data sets. */
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

async function* uploadOf(
  parent: string,
  { dataset, format, description = "", columns = [], missingValues = [] }: UploadDatasetOptions,
  files: readonly { readonly role: string; readonly path: string; readonly sha256: string }[],
): AsyncGenerator<MessageInitShape<typeof UploadDatasetRequestSchema>> {
  yield { payload: { case: "head", value: { parent, datasetId: dataset, dataset: { format, description, columns: columns.map((column) => ({ ...column })), missingValues: [...missingValues] } } } };
  for (const { role, path, sha256 } of files) {
    yield { payload: { case: "file", value: { role, sha256 } } };
    for await (const chunk of fileChunks(path)) yield { payload: { case: "chunk", value: chunk } };
  }
}
