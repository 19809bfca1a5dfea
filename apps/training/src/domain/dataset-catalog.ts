import { createHash } from "node:crypto";
import { checkId, checkText, formatName, parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { BlobStore } from "@servable/storage";
import type { DatasetInspector, DatasetLimits } from "./dataset-inspector.ts";
import type { ColumnKind, DatasetFileRecord, DatasetFormat, DatasetRecord } from "./records.ts";
import type { ListOptions, TrainingStore } from "./training-store.ts";

const DATASET_NAME = "projects/{project}/datasets/{dataset}";

/** The files that each format consists of. */
const ROLES: Readonly<Record<DatasetFormat, readonly string[]>> = {
  csv: ["data"],
  idx: ["images", "labels"],
  npy: ["images", "labels"],
  jsonl: ["data"],
  parquet: ["data"],
  npz: ["data"],
  image_zip: ["data"],
  text: ["data"],
  chat: ["data"],
};

/** The head of an upload. */
export interface DatasetHead {
  readonly parent: string;
  readonly datasetId: string;
  readonly format: DatasetFormat | undefined;
  readonly description: string;
  readonly columns: readonly { readonly name: string; readonly kind: ColumnKind }[];
  readonly missingValues: readonly string[];
}

/** One file of an upload; its chunks must be read to the end before the next file is asked for. */
export interface IncomingFile {
  readonly role: string;
  /** As the sender states it; empty = not checked. */
  readonly sha256: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** What the catalog stands on. */
export interface DatasetCatalogDeps {
  readonly store: TrainingStore;
  readonly blobs: BlobStore;
  readonly inspect: DatasetInspector;
  readonly limits: DatasetLimits;
  readonly now: () => number;
}

/**
 * Data sets: immutable, their files named by digest and shared between data sets of the same bytes.
 *
 * I1  A data set is visible only when all its files are stored and were read to the end without a complaint.
 * I2  A file is removed only while no upload is under way: a running upload may have found it present and rely on it.
 */
export class DatasetCatalog {
  readonly #deps: DatasetCatalogDeps;
  #uploadCount = 0;
  readonly #unused = new Set<string>();

  constructor(deps: DatasetCatalogDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `ALREADY_EXISTS`, `FIELD_REQUIRED`, `FIELD_INVALID`, `DATASET_MALFORMED`, `DATASET_TOO_LARGE`, `ARTIFACT_DIGEST_MISMATCH` */
  async upload(head: DatasetHead, incoming: AsyncIterable<IncomingFile>, signal: AbortSignal): Promise<DatasetRecord> {
    const { project } = parseName("projects/{project}", head.parent, "head.parent");
    const name = formatName(DATASET_NAME, { project, dataset: checkId("head.dataset_id", head.datasetId) });
    const format = checkHead(head);
    // The insert decides; this only spares the sender a gigabyte.
    if ((await this.#deps.store.datasets.get(name)) !== undefined) throw alreadyExists(name);

    this.#uploadCount += 1;
    const files: DatasetFileRecord[] = [];
    try {
      await this.#receive(format, incoming, files);
      const inspection = await this.#deps.inspect(
        { format, files: files.map(({ role, sha256 }) => ({ role, path: this.#deps.blobs.path(sha256) })), columns: head.columns, missingValues: head.missingValues, limits: this.#deps.limits },
        signal,
      );
      signal.throwIfAborted();
      const dataset: DatasetRecord = {
        name,
        project,
        format,
        description: head.description,
        missingValues: [...head.missingValues],
        ...inspection,
        digest: digestOf(files),
        sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        files,
        createTimeMs: this.#deps.now(),
      };
      await this.#deps.store.transact((store) => store.datasets.insert(dataset));
      return dataset;
    } catch (error) {
      for (const { sha256 } of files) this.#unused.add(sha256);
      throw error;
    } finally {
      this.#uploadCount -= 1;
      await this.#collect();
    }
  }

  /** @throws StatusError `DATASET_NOT_FOUND` */
  async get(name: string): Promise<DatasetRecord> {
    parseName(DATASET_NAME, name);
    const dataset = await this.#deps.store.datasets.get(name);
    if (dataset === undefined) throw datasetNotFound(name);
    return dataset;
  }

  /** The data sets of a project by name. */
  async list(parent: string, options: ListOptions): Promise<DatasetRecord[]> {
    const { project } = parseName("projects/{project}", parent, "parent");
    return this.#deps.store.datasets.list(project, options);
  }

  /** @throws StatusError `DATASET_NOT_FOUND`, `RESOURCE_IN_USE` */
  async delete(name: string): Promise<void> {
    parseName(DATASET_NAME, name);
    const { files } = await this.#deps.store.transact(async (store) => {
      const dataset = await store.datasets.lock(name);
      if (dataset === undefined) throw datasetNotFound(name);
      const user = await store.jobs.activeOn(name);
      if (user !== undefined) throw new StatusError("RESOURCE_IN_USE", `${name} is used by ${user.name}: wait for its end or cancel it first`, { metadata: { user: user.name } });
      await store.datasets.delete(name);
      return dataset;
    });
    for (const { sha256 } of files) this.#unused.add(sha256);
    await this.#collect();
  }

  /** Paths of a data set's files, for the trainer. */
  filesOf(dataset: DatasetRecord): { role: string; path: string }[] {
    return dataset.files.map(({ role, sha256 }) => ({ role, path: this.#deps.blobs.path(sha256) }));
  }

  async #receive(format: DatasetFormat, incoming: AsyncIterable<IncomingFile>, files: DatasetFileRecord[]): Promise<void> {
    const roles = ROLES[format];
    const { datasetBytesMax } = this.#deps.limits;
    let bytes = 0;
    const counted = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > datasetBytesMax) {
          throw new StatusError("DATASET_TOO_LARGE", `the files are larger than ${datasetBytesMax} bytes: upload less, or raise SERVABLE_DATASET_BYTES_MAX`, { metadata: { limit: "SERVABLE_DATASET_BYTES_MAX" } });
        }
        yield chunk;
      }
    };
    for await (const { role, sha256, chunks } of incoming) {
      if (!roles.includes(role)) throw invalid("file.role", `"${role}" is no file of this format: it has ${quoted(roles)}`);
      if (files.some((file) => file.role === role)) throw invalid("file.role", `"${role}" was sent twice`);
      if (sha256 !== "" && !/^[0-9a-fA-F]{64}$/.test(sha256)) throw invalid("file.sha256", "must be 64 hexadecimal digits");
      const stored = await this.#deps.blobs.put(counted(chunks), { sha256: sha256 === "" ? undefined : sha256 });
      files.push({ role, ...stored });
    }
    const missing = roles.filter((role) => !files.some((file) => file.role === role));
    if (missing.length > 0) throw new StatusError("FIELD_REQUIRED", `file: ${quoted(missing)} did not come; this format consists of ${quoted(roles)}`, { metadata: { field: "file" } });
  }

  /** Removes what nobody uses any more; leans on I2. */
  async #collect(): Promise<void> {
    for (const sha256 of [...this.#unused]) {
      if (this.#uploadCount > 0) return;
      this.#unused.delete(sha256);
      const used = await this.#deps.store.datasets.refersTo(sha256);
      // An upload that began meanwhile gets to decide again at its own end.
      if (this.#uploadCount > 0) this.#unused.add(sha256);
      else if (!used) await this.#deps.blobs.delete(sha256);
    }
  }
}

/** There is no such data set. */
export function datasetNotFound(name: string): StatusError {
  return new StatusError("DATASET_NOT_FOUND", `there is no data set ${name}: list them with \`servable datasets list\``, { metadata: { dataset: name } });
}

function checkHead(head: DatasetHead): DatasetFormat {
  if (head.format === undefined) throw new StatusError("FIELD_REQUIRED", "head.dataset.format is required: FORMAT_CSV, FORMAT_IDX or FORMAT_NPY", { metadata: { field: "head.dataset.format" } });
  checkText("head.dataset.description", head.description, 10_000);
  if (head.missingValues.length > 100) throw invalid("head.dataset.missing_values", `has ${head.missingValues.length} entries, at most 100 are allowed`);
  for (const value of head.missingValues) checkText("head.dataset.missing_values", value, 100);
  if (head.format !== "csv" && head.columns.length > 0) throw invalid("head.dataset.columns", "only a CSV has columns: leave it empty");
  return head.format;
}

/** One digest for all files: "sha256:…" over the sorted lines "role sha256". */
function digestOf(files: readonly DatasetFileRecord[]): string {
  const lines = files.map(({ role, sha256 }) => `${role} ${sha256}\n`).sort();
  return `sha256:${createHash("sha256").update(lines.join("")).digest("hex")}`;
}

function alreadyExists(name: string): StatusError {
  return new StatusError("ALREADY_EXISTS", `${name} exists already: data sets are immutable, choose another id`, { metadata: { resource: name } });
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${problem}`, { metadata: { field } });
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(" and ");
}
