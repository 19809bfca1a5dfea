import { readFile, stat } from "node:fs/promises";
import { TasksService, type ClassifyImageResponse, type ClassifyTextResponse, type DetectSpeechResponse, type EmbedTextResponse, type ReadTextResponse } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { ClientCallOptions, Connection } from "./connection.ts";

/** Which model does a task. */
export interface TaskOptions extends ClientCallOptions {
  /** Name of the deployment. */
  readonly model: string;
  /** Number of the version. @default the newest */
  readonly version?: string | undefined;
}

/** What the gateway takes at most. */
const FILE_BYTES_MAX = 64 * 1024 ** 2;

/**
 * Ready-made tasks: pictures, texts and recordings in, labels, vectors and text out, by models whose version has a
 * servable.yaml. Files are given by path or as bytes.
 *
 * @example const { labels } = await client.tasks.classifyImage("cat.jpg", { model: "mobilenet" });
 */
export class Tasks {
  readonly #connection: Connection;
  readonly #tasks: Client<typeof TasksService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#tasks = connection.client(TasksService);
  }

  /** @throws StatusError `TASK_NOT_DECLARED`, `IMAGE_INVALID`, `MODEL_NOT_FOUND` */
  async classifyImage(picture: string | Uint8Array, options: TaskOptions & { readonly topK?: number | undefined }): Promise<ClassifyImageResponse> {
    const image = await bytesOf(picture);
    return this.#call(options, (target, call) => this.#tasks.classifyImage({ ...target, image, topK: options.topK ?? 0 }, call));
  }

  /** @throws StatusError `TASK_NOT_DECLARED`, `IMAGE_INVALID`, `MODEL_NOT_FOUND` */
  async readText(picture: string | Uint8Array, options: TaskOptions): Promise<ReadTextResponse> {
    const image = await bytesOf(picture);
    return this.#call(options, (target, call) => this.#tasks.readText({ ...target, image }, call));
  }

  /** @throws StatusError `TASK_NOT_DECLARED`, `AUDIO_INVALID`, `MODEL_NOT_FOUND` */
  async detectSpeech(recording: string | Uint8Array, options: TaskOptions & { readonly threshold?: number | undefined }): Promise<DetectSpeechResponse> {
    const audio = await bytesOf(recording);
    const { threshold } = options;
    return this.#call(options, (target, call) => this.#tasks.detectSpeech({ ...target, audio, ...(threshold !== undefined && { threshold }) }, call));
  }

  /** @throws StatusError `TASK_NOT_DECLARED`, `FIELD_INVALID`, `MODEL_NOT_FOUND` */
  classifyText(texts: readonly string[], options: TaskOptions & { readonly topK?: number | undefined }): Promise<ClassifyTextResponse> {
    return this.#call(options, (target, call) => this.#tasks.classifyText({ ...target, texts: [...texts], topK: options.topK ?? 0 }, call));
  }

  /** @throws StatusError `TASK_NOT_DECLARED`, `FIELD_INVALID`, `MODEL_NOT_FOUND` */
  embedText(texts: readonly string[], options: TaskOptions & { readonly dimensionCount?: number | undefined }): Promise<EmbedTextResponse> {
    return this.#call(options, (target, call) => this.#tasks.embedText({ ...target, texts: [...texts], dimensionCount: options.dimensionCount ?? 0 }, call));
  }

  /** A task changes nothing, so it may arrive twice. */
  #call<T>(options: TaskOptions, call: (target: { model: string; modelVersion: string }, options: ClientCallOptions) => Promise<T>): Promise<T> {
    const { model, version = "", signal, timeoutMs } = options;
    return this.#connection.retrying(() => call({ model, modelVersion: version }, { signal, ...(timeoutMs !== undefined && { timeoutMs }) }), options);
  }
}

async function bytesOf(file: string | Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof file !== "string") return new Uint8Array(file);
  const invalid = (message: string, cause?: unknown): StatusError => new StatusError("FIELD_INVALID", message, { metadata: { field: "file" }, cause });
  const size = (await stat(file).catch((error: NodeJS.ErrnoException) => Promise.reject(invalid(error.code === "ENOENT" ? `there is no file ${file}` : `${file} cannot be read: ${error.message}`, error)))).size;
  if (size > FILE_BYTES_MAX) throw invalid(`${file} has ${size} bytes, more than the ${FILE_BYTES_MAX} that one call takes`);
  try {
    return new Uint8Array(await readFile(file));
  } catch (error) {
    throw invalid(`${file} cannot be read: ${(error as Error).message}`, error);
  }
}
