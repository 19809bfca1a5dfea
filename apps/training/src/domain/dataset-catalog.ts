import { checkId, formatName, parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { BlobStore } from "@servable/storage";
import { checkReading, datasetDigest, type DatasetHead, type DatasetReading } from "./dataset-head.ts";
import type { DatasetInspector, DatasetLimits, Inspection } from "./dataset-inspector.ts";
import type { DatasetInput } from "./dataset-reader/dataset-table.ts";
import { receiveFiles, type IncomingFile } from "./dataset-upload.ts";
import type { DatasetFileRecord, DatasetFormat, DatasetRecord } from "./records.ts";
import type { ListOptions, TrainingStore } from "./training-store.ts";

const DATASET_NAME = "projects/{project}/datasets/{dataset}";
const VERSION_NAME = `${DATASET_NAME}/versions/{version}`;
/** Versions that one data set may have. */
const VERSIONS_MAX = 10_000;

/** What the catalog stands on. */
export interface DatasetCatalogDeps {
  readonly store: TrainingStore;
  readonly blobs: BlobStore;
  readonly inspect: DatasetInspector;
  readonly limits: DatasetLimits;
  readonly now: () => number;
}

/**
 * Data sets and their versions: immutable, their files named by digest and shared between versions of the same bytes.
 *
 * I1  A version is visible only when all its files are stored and were read to the end without a complaint.
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
    const format = checkReading("head.dataset", head.format, head);
    // The insert decides; this only spares the sender a gigabyte.
    if (!head.newVersion && (await this.#deps.store.datasets.get(name)) !== undefined) throw alreadyExists(name);
    return this.keeping(async (files: DatasetFileRecord[]) => {
      await receiveFiles(format, incoming, { blobs: this.#deps.blobs, datasetBytesMax: this.#deps.limits.datasetBytesMax }, files);
      return this.#add({ name, project, format, files }, head, head.newVersion ? "next" : "first", signal);
    });
  }

  /**
   * Reads the files of the newest version in another way: a further version, except that a changed description alone is
   * written into the version itself.
   *
   * @throws StatusError `DATASET_NOT_FOUND`, `FIELD_INVALID`, `DATASET_MALFORMED`
   */
  async update(name: string, changes: Partial<DatasetReading>, signal: AbortSignal): Promise<DatasetRecord> {
    const current = await this.get(name);
    const { description, columnOverrides, missingValues, header, skipBadRows, imageShape, format } = current;
    const reading: DatasetReading = { description, columns: columnOverrides, missingValues, header, skipBadRows, imageShape: format === "image_zip" ? imageShape : [], ...changes };
    checkReading("dataset", format, reading);
    const { description: text, ...others } = changes;
    if (Object.keys(others).length > 0) return this.keeping(() => this.#add(current, reading, "again", signal));
    return this.change(current, (version) => ({ ...version, description: text ?? version.description }));
  }

  /** A data set's newest version, or the version that is named. @throws StatusError `DATASET_NOT_FOUND` */
  async get(name: string): Promise<DatasetRecord> {
    const { dataset, version } = parseVersion(name);
    const found = version === undefined ? await this.#deps.store.datasets.get(dataset) : await this.#deps.store.datasets.version(dataset, version);
    if (found === undefined) throw datasetNotFound(name);
    return found;
  }

  /** The version that a job began with. @throws StatusError `DATASET_NOT_FOUND` */
  async pinned(name: string, digest: string): Promise<DatasetRecord> {
    const { dataset, version } = parseVersion(name);
    const named = version === undefined ? undefined : await this.#deps.store.datasets.version(dataset, version);
    const found = named?.digest === digest ? named : await this.#deps.store.datasets.pinned(dataset, digest);
    if (found === undefined) throw datasetNotFound(`${name} of digest ${digest}`);
    return found;
  }

  /** The newest versions of a project's data sets by name. */
  async list(parent: string, options: ListOptions): Promise<DatasetRecord[]> {
    const { project } = parseName("projects/{project}", parent, "parent");
    return this.#deps.store.datasets.list(project, options);
  }

  /** The versions of a data set, newest first. @throws StatusError `DATASET_NOT_FOUND` */
  async versions(name: string, options: ListOptions): Promise<DatasetRecord[]> {
    await this.get(name);
    return this.#deps.store.datasets.versions(name, options);
  }

  /** Deletes all versions. @throws StatusError `DATASET_NOT_FOUND`, `RESOURCE_IN_USE` */
  async delete(name: string): Promise<void> {
    parseName(DATASET_NAME, name);
    const digests = await this.#deps.store.transact(async (store) => {
      if ((await store.datasets.lock(name)) === undefined) throw datasetNotFound(name);
      const user = (await store.jobs.activeOn(name)) ?? (await store.studies.activeOn(name));
      if (user !== undefined) throw new StatusError("RESOURCE_IN_USE", `${name} is used by ${user.name}: wait for its end or cancel it first`, { metadata: { user: user.name } });
      const blobs = await store.datasets.blobsOf(name);
      await store.datasets.delete(name);
      return blobs;
    });
    for (const sha256 of digests) this.#unused.add(sha256);
    await this.#collect();
  }

  /** A version's files and how they are read, for those who read them in another process. */
  inputOf({ format, files, columns, missingValues, header, skipBadRows, imageShape }: DatasetRecord): DatasetInput {
    return {
      format,
      files: files.map(({ role, sha256 }) => ({ role, path: this.#deps.blobs.path(sha256) })),
      columns: columns.map(({ name, kind }) => ({ name, kind })),
      missingValues,
      header,
      skipBadRows,
      imageShape,
    };
  }

  /** Changes what is kept of a version beside its data. */
  async change(dataset: DatasetRecord, change: (version: DatasetRecord) => DatasetRecord): Promise<DatasetRecord> {
    return this.#deps.store.transact(async (store) => {
      await store.datasets.lock(dataset.name);
      const current = await store.datasets.version(dataset.name, dataset.version);
      if (current === undefined) throw datasetNotFound(dataset.name);
      const changed = change(current);
      await store.datasets.updateVersion(changed);
      return changed;
    });
  }

  /** Runs work that stores files: none is removed meanwhile (I2), and those of work that fails are removed afterwards. */
  async keeping<T>(work: (files: DatasetFileRecord[]) => Promise<T>): Promise<T> {
    this.#uploadCount += 1;
    const files: DatasetFileRecord[] = [];
    try {
      return await work(files);
    } catch (error) {
      for (const { sha256 } of files) this.#unused.add(sha256);
      throw error;
    } finally {
      this.#uploadCount -= 1;
      await this.#collect();
    }
  }

  /** Inspects stored files and keeps them as a version; leans on I1. */
  async #add(source: { readonly name: string; readonly project: string; readonly format: DatasetFormat; readonly files: readonly DatasetFileRecord[] }, reading: DatasetReading, as: "first" | "next" | "again", signal: AbortSignal): Promise<DatasetRecord> {
    const { name, project, format, files } = source;
    const digest = datasetDigest(files, reading);
    const inspection: Inspection = await this.#deps.inspect(
      { ...reading, format, files: files.map(({ role, sha256 }) => ({ role, path: this.#deps.blobs.path(sha256) })), limits: this.#deps.limits },
      signal,
    );
    signal.throwIfAborted();
    return this.#deps.store.transact(async (store) => {
      const last = as === "first" ? undefined : await store.datasets.lock(name);
      if (last === undefined && as === "again") throw datasetNotFound(name);
      // The same bytes read in the same way are the same version, so that a call may be repeated.
      if (last?.digest === digest) return last;
      if ((last?.version ?? 0) >= VERSIONS_MAX) throw new StatusError("DATASET_TOO_LARGE", `${name} has ${VERSIONS_MAX} versions: upload under another id`);
      const dataset: DatasetRecord = {
        name,
        project,
        format,
        description: reading.description,
        missingValues: [...reading.missingValues],
        header: [...reading.header],
        columnOverrides: [...reading.columns],
        skipBadRows: reading.skipBadRows,
        ...inspection,
        digest,
        sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        files,
        version: (last?.version ?? 0) + 1,
        splits: [],
        createTimeMs: this.#deps.now(),
      };
      await (last === undefined ? store.datasets.insert(dataset) : store.datasets.addVersion(dataset));
      return dataset;
    });
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

/** Locks a data set for a transaction and gives its newest version, or the version that is named. @throws StatusError `DATASET_NOT_FOUND` */
export async function lockVersion(store: TrainingStore, name: string): Promise<DatasetRecord> {
  const { dataset, version } = parseVersion(name);
  const newest = await store.datasets.lock(dataset);
  const found = version === undefined || newest === undefined ? newest : await store.datasets.version(dataset, version);
  if (found === undefined) throw datasetNotFound(name);
  return found;
}

/** A data set's name and, where it is said, the version. @throws StatusError `FIELD_INVALID` */
export function parseVersion(name: string, field = "name"): { readonly project: string; readonly dataset: string; readonly version: number | undefined } {
  if (!name.includes("/versions/")) return { project: parseName(DATASET_NAME, name, field).project, dataset: name, version: undefined };
  const { project, dataset, version } = parseName(VERSION_NAME, name, field);
  if (!/^[1-9]\d{0,8}$/.test(version)) throw new StatusError("FIELD_INVALID", `${field}: "${version}" is no version: they are counted from 1 on`, { metadata: { field } });
  return { project, dataset: formatName(DATASET_NAME, { project, dataset }), version: Number(version) };
}

function alreadyExists(name: string): StatusError {
  return new StatusError("ALREADY_EXISTS", `${name} exists already: choose another id, or set new_version to make the upload its next version`, { metadata: { resource: name } });
}
