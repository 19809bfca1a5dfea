import { createHash, randomBytes } from "node:crypto";
import { StatusError } from "@servable/errors";
import type { BlobStore } from "@servable/storage";
import type { FileRecord, FineTuningStore, TuningPage } from "./records.ts";

/** What a caller may store a file for; results are written by jobs alone. */
const PURPOSES: readonly string[] = ["fine-tune", "batch", "assistants", "vision", "user_data", "evals"];
const FILENAME_MAX = 255;
const EXPIRY_SECONDS = { min: 3_600, max: 2_592_000 } as const;

/** A file before its bytes. */
export interface FileHead {
  readonly project: string;
  readonly filename: string;
  readonly purpose: string;
  /** 0 = stays. */
  readonly expireAfterSeconds: number;
}

/** Files of projects: what callers upload, and what jobs leave. Equal bytes are stored once. */
export class StoredFiles {
  readonly #store: FineTuningStore["files"];
  readonly #blobs: BlobStore;
  readonly #bytesMax: number;
  readonly #now: () => number;

  constructor(deps: { readonly store: FineTuningStore["files"]; readonly blobs: BlobStore; readonly bytesMax: number; readonly now: () => number }) {
    this.#store = deps.store;
    this.#blobs = deps.blobs;
    this.#bytesMax = deps.bytesMax;
    this.#now = deps.now;
  }

  /** @throws StatusError `FIELD_INVALID`, `FIELD_REQUIRED`, `ARTIFACT_TOO_LARGE`, `DISK_FULL` */
  async upload({ project, filename, purpose, expireAfterSeconds }: FileHead, chunks: AsyncIterable<Uint8Array>): Promise<FileRecord> {
    if (!PURPOSES.includes(purpose)) throw invalid("purpose", `"${purpose.slice(0, 40)}" is none of ${PURPOSES.join(", ")}`);
    if (filename === "" || filename.length > FILENAME_MAX || /[\p{Cc}]/u.test(filename)) throw invalid("file", `must have a name of 1 to ${FILENAME_MAX} characters`);
    if (expireAfterSeconds !== 0 && !(expireAfterSeconds >= EXPIRY_SECONDS.min && expireAfterSeconds <= EXPIRY_SECONDS.max)) throw invalid("expires_after[seconds]", `must be from ${EXPIRY_SECONDS.min} to ${EXPIRY_SECONDS.max}`);
    await this.#sweep();
    const { sha256, sizeBytes } = await this.#blobs.put(chunks, { bytesMax: this.#bytesMax });
    if (sizeBytes === 0) throw invalid("file", "is empty");
    const createTimeMs = this.#now();
    return this.#put({ id: `file-${randomBytes(12).toString("hex")}`, project, filename, purpose, sizeBytes, sha256, createTimeMs, expireTimeMs: expireAfterSeconds === 0 ? undefined : createTimeMs + expireAfterSeconds * 1_000 });
  }

  /** Writes what a job leaves; the same key gives the same file again. */
  async write(project: string, key: string, filename: string, text: string): Promise<FileRecord> {
    const bytes = Buffer.from(text);
    const { sha256, sizeBytes } = await this.#blobs.put(one(bytes));
    return this.#put({ id: `file-${createHash("sha256").update(key).digest("hex").slice(0, 24)}`, project, filename, purpose: "fine-tune-results", sizeBytes, sha256, createTimeMs: this.#now() });
  }

  /** @throws StatusError `FILE_NOT_FOUND` */
  async get(project: string, id: string): Promise<FileRecord> {
    const file = await this.#store.get(project, id);
    if (file === undefined || (file.expireTimeMs ?? Infinity) <= this.#now()) throw fileNotFound(id);
    return file;
  }

  list(project: string, purpose: string, page: TuningPage): Promise<FileRecord[]> {
    return this.#store.list(project, purpose, this.#now(), page);
  }

  /** @throws StatusError `FILE_NOT_FOUND` */
  async delete(project: string, id: string): Promise<void> {
    await this.#remove(await this.get(project, id));
  }

  /** A file's bytes. */
  read({ sha256 }: FileRecord): AsyncIterable<Uint8Array> {
    return this.#blobs.read(sha256);
  }

  /** Where a file's bytes lie on this machine. */
  path({ sha256 }: FileRecord): string {
    return this.#blobs.path(sha256);
  }

  async #put(file: FileRecord): Promise<FileRecord> {
    await this.#store.put(file);
    return file;
  }

  async #remove(file: FileRecord): Promise<void> {
    await this.#store.delete(file.project, file.id);
    if (!(await this.#store.refersTo(file.sha256))) await this.#blobs.delete(file.sha256);
  }

  /** Expired files are invisible at once, and gone with the next upload. */
  async #sweep(): Promise<void> {
    for (const file of await this.#store.expired(this.#now())) await this.#remove(file);
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

/** There is no such file. */
export function fileNotFound(id: string, field?: string): StatusError {
  return new StatusError("FILE_NOT_FOUND", `there is no file ${id}: list them with GET /v1/files`, { metadata: { file: id, ...(field === undefined ? {} : { field }) } });
}

function invalid(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
