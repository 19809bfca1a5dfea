import { randomUUID } from "node:crypto";
import { ModelRegistryService, type UploadArtifactRequestSchema } from "@servable/contracts/registry/v1/model_registry";
import type { Model, ModelAlias } from "@servable/contracts/registry/v1/model";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import type { PromotionGateSchema } from "@servable/contracts/registry/v1/promotion_gate";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { digestOf, fileChunks, type FileDigest } from "./file-chunks.ts";

/** What artifact() holds in memory. */
const ARTIFACT_IN_MEMORY_MAX = 64 * 1024 * 1024;

/** A file of a version. */
export interface ImportedFile {
  /** Where it belongs inside the version: "model.onnx", "labels.txt", "warmup/input". */
  readonly path: string;
  /** Where it is on this machine. */
  readonly file: string;
  /** What {@link digestFiles} found; saves reading it twice. */
  readonly digest?: FileDigest | undefined;
}

/** What every import may say. */
export interface ImportDetails extends ClientCallOptions {
  /** Id of the model; made when it does not exist. */
  readonly model: string;
  readonly description?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** ModelConfig settings as JSON, e.g. `{"max_batch_size": 8}`. */
  readonly servingConfigJson?: string | undefined;
  /** Called after each piece that was sent. */
  readonly onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined;
}

/** A single file to import and under which name. */
export interface ImportOptions extends ImportDetails {
  /** An ONNX file. */
  readonly file: string;
}

/** A version of several files. */
export interface ImportVersionOptions extends ImportDetails {
  /** "model.onnx" and whatever goes with it; an ensemble needs none. */
  readonly files: readonly ImportedFile[];
  /** The number that it shall get, above all that the model ever gave. @default the next */
  readonly versionNumber?: number | undefined;
}

/** Reads files once, for an import that compares them first. @throws StatusError `FIELD_INVALID` for one that cannot be read */
export function digestFiles(files: readonly ImportedFile[]): Promise<(ImportedFile & { readonly digest: FileDigest })[]> {
  return Promise.all(files.map(async (each) => ({ ...each, digest: each.digest ?? (await digestOf(each.file)) })));
}

/** Models, their versions and aliases. */
export class Models {
  readonly #connection: Connection;
  readonly #registry: Client<typeof ModelRegistryService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#registry = connection.client(ModelRegistryService);
  }

  /**
   * Uploads a file as the next version of a model, and waits until the registry has checked it. Nothing is left behind
   * when that fails.
   *
   * @throws StatusError `MODEL_NOT_ONNX`, `MODEL_REFUSED`, `ARTIFACT_TOO_LARGE`, `FIELD_INVALID` (no such file)
   * @example await client.models.importFile({ model: "mnist", file: "mnist.onnx" });
   */
  importFile({ file, ...options }: ImportOptions): Promise<ModelVersion> {
    return this.importVersion({ ...options, files: [{ path: "model.onnx", file }] });
  }

  /**
   * Uploads files as a version of a model, and waits until the registry has checked it. Nothing is left behind when that
   * fails.
   *
   * @throws StatusError as importFile does, and `ALREADY_EXISTS` when the model gave that version number, or a higher one
   * @example await client.models.importVersion({ model: "net", files: [{ path: "model.onnx", file: "net.onnx" }, { path: "labels.txt", file: "labels.txt" }] });
   */
  async importVersion(options: ImportVersionOptions): Promise<ModelVersion> {
    const { model, description = "", labels = {}, servingConfigJson = "", versionNumber = 0 } = options;
    const files = await digestFiles(options.files);
    const totalBytes = files.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
    const { created } = await this.#ensureModel(model, options);
    const parent = this.#connection.name("models", model);
    const requestId = randomUUID();
    let version: ModelVersion | undefined;
    try {
      version = await this.#connection.retrying(() => this.#registry.createModelVersion({ parent, requestId, versionNumber: BigInt(versionNumber), modelVersion: { description, labels: { ...labels }, servingConfigJson } }, { signal: options.signal }), options);
      const { name } = version;
      // A repeated upload of the same bytes to a PENDING version replaces what came before.
      let doneBytes = 0;
      for (const file of files) {
        const before = doneBytes;
        await this.#connection.retrying(() => this.#registry.uploadArtifact(uploadOf(name, file, (sent) => options.onProgress?.(before + sent, totalBytes)), untimed(options)), options);
        doneBytes += file.digest.sizeBytes;
      }
      return await this.#finalize(name, options);
    } catch (error) {
      await this.#discard(version, created ? parent : undefined);
      throw error;
    }
  }

  list(options: ClientCallOptions = {}): Promise<Model[]> {
    return allPages(async (pageToken) => {
      const { models, nextPageToken } = await this.#connection.retrying(() => this.#registry.listModels({ parent: this.#connection.parent, pageSize: 1_000, pageToken }, options), options);
      return { items: models, nextPageToken };
    });
  }

  get(model: string, options: ClientCallOptions = {}): Promise<Model> {
    return this.#connection.retrying(() => this.#registry.getModel({ name: this.#connection.name("models", model) }, options), options);
  }

  /** @throws StatusError `RESOURCE_IN_USE` while a deployment uses it, or without `force` while it has versions */
  async delete(model: string, options: ClientCallOptions & { readonly force?: boolean } = {}): Promise<void> {
    await this.#registry.deleteModel({ name: this.#connection.name("models", model), force: options.force ?? false }, options);
  }

  /** All versions, newest first. */
  versions(model: string, options: ClientCallOptions = {}): Promise<ModelVersion[]> {
    const parent = this.#connection.name("models", model);
    return allPages(async (pageToken) => {
      const { modelVersions, nextPageToken } = await this.#connection.retrying(() => this.#registry.listModelVersions({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: modelVersions, nextPageToken };
    });
  }

  /** One version by number or alias. */
  version(model: string, version: string, options: ClientCallOptions = {}): Promise<ModelVersion> {
    const name = `${this.#connection.name("models", model)}/versions/${version}`;
    return this.#connection.retrying(() => this.#registry.getModelVersion({ name }, options), options);
  }

  /** Points an alias at a version, wherever it pointed before. @throws StatusError `PROMOTION_REFUSED` by a gate, unless `force` is set */
  setAlias(model: string, alias: string, version: string, options: ClientCallOptions & { readonly force?: boolean } = {}): Promise<ModelAlias> {
    const parent = this.#connection.name("models", model);
    const request = { alias: { name: `${parent}/aliases/${alias}`, modelVersion: `${parent}/versions/${version}` }, force: options.force ?? false };
    return this.#connection.retrying(() => this.#registry.setModelAlias(request, options), options);
  }

  /** Replaces the model's promotion gates. @throws StatusError `FIELD_INVALID` naming the rule */
  setPromotionGates(model: string, promotionGates: readonly MessageInitShape<typeof PromotionGateSchema>[], options: ClientCallOptions = {}): Promise<Model> {
    const request = { model: { name: this.#connection.name("models", model), promotionGates: [...promotionGates] }, updateMask: { paths: ["promotion_gates"] } };
    return this.#connection.retrying(() => this.#registry.updateModel(request, options), options);
  }

  /** A file of a version, whole. @throws StatusError `ARTIFACT_NOT_FOUND`, `ARTIFACT_TOO_LARGE` beyond 64 MiB */
  async artifact(model: string, version: string, path: string, options: ClientCallOptions = {}): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const { chunk } of this.#registry.downloadArtifact({ modelVersion: `${this.#connection.name("models", model)}/versions/${version}`, path }, untimed(options))) {
      size += chunk.length;
      if (size > ARTIFACT_IN_MEMORY_MAX) throw new StatusError("ARTIFACT_TOO_LARGE", `${path} has more than ${ARTIFACT_IN_MEMORY_MAX} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  aliases(model: string, options: ClientCallOptions = {}): Promise<ModelAlias[]> {
    const parent = this.#connection.name("models", model);
    return allPages(async (pageToken) => {
      const { aliases, nextPageToken } = await this.#connection.retrying(() => this.#registry.listModelAliases({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: aliases, nextPageToken };
    });
  }

  async #ensureModel(model: string, options: ClientCallOptions): Promise<{ created: boolean }> {
    const { parent } = this.#connection;
    try {
      await this.#connection.retrying(() => this.#registry.createModel({ parent, modelId: model }, { signal: options.signal }), options);
      return { created: true };
    } catch (error) {
      if (error instanceof StatusError && error.reason === "ALREADY_EXISTS") return { created: false };
      throw error;
    }
  }

  async #finalize(name: string, options: ClientCallOptions): Promise<ModelVersion> {
    const version = await this.#connection.retrying(async (attempt) => {
      // An answer that got lost: the version says itself what became of it.
      if (attempt > 1) {
        const found = await this.#registry.getModelVersion({ name }, { signal: options.signal });
        if (found.state !== ModelVersion_State.PENDING) return found;
      }
      return this.#registry.finalizeModelVersion({ name }, untimed(options));
    }, options);
    if (version.state === ModelVersion_State.FAILED) {
      const reason: Reason = version.failureReason in REASONS ? (version.failureReason as Reason) : "MODEL_REFUSED";
      throw new StatusError(reason, version.failureMessage, { metadata: { modelVersion: name } });
    }
    return version;
  }

  async #discard(version: ModelVersion | undefined, model: string | undefined): Promise<void> {
    try {
      if (version !== undefined) await this.#registry.deleteModelVersion({ name: version.name });
      if (model !== undefined) await this.#registry.deleteModel({ name: model, force: false });
    } catch {
      // The import's own failure is what the caller must hear; a PENDING version harms nobody.
    }
  }
}

async function* uploadOf(
  modelVersion: string,
  { path, file, digest: { sha256, sizeBytes } }: ImportedFile & { readonly digest: FileDigest },
  onProgress: (sentBytes: number) => void,
): AsyncGenerator<MessageInitShape<typeof UploadArtifactRequestSchema>> {
  yield { payload: { case: "head", value: { modelVersion, path, sha256, sizeBytes: BigInt(sizeBytes) } } };
  let sent = 0;
  for await (const chunk of fileChunks(file)) {
    yield { payload: { case: "chunk", value: chunk } };
    sent += chunk.length;
    onProgress(sent);
  }
}
