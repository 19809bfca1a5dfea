// The service's side of the child that decodes pictures. A decoder of strangers' files will be killed one day: by a file
// made for it, by memory, by time. So it is a process of its own, one job at a time, and whatever ends it is the fault of
// the job it held.
//
// I1  Every job ends: by its answer, by its own limits, or by the end of the process.
// I2  The process holds at most one job, so that a crash is charged to the right one; the others wait here.
// I3  After a crash the next process starts only after a pause, which doubles while crashes follow each other.
// I4  A process that has had nothing to do for `idleMsMax` ends; the next job starts another.

import { fork, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "@servable/config";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { CutLine, DecodedPicture, ImageAnswer, ImageJob, ImageResponseMessage, ImageTensor, LineSpec } from "./image-job.ts";
import type { ImageSpec } from "./image-spec.ts";
import type { Picture } from "./picture.ts";
import type { Quad } from "./warp.ts";

export type { CutLine, DecodedPicture, ImageTensor, LineSpec } from "./image-job.ts";

/** Bounds of a decoder. */
export interface ImageDecoderOptions {
  /** Largest file. @default 32 MiB */
  readonly fileBytesMax?: number;
  /** Largest width × height. @default 64 million */
  readonly pixelsMax?: number;
  /** How long one job may take in the process. @default 15000 */
  readonly jobMsMax?: number;
  /** Resident memory of the process. @default 1 GiB */
  readonly memoryBytesMax?: number;
  /** Jobs that may wait. @default 256 */
  readonly queuedMax?: number;
  /** How long the process may be idle. @default 60000 */
  readonly idleMsMax?: number;
  /** Told of processes that ended by themselves or were ended, for logs and metrics. */
  readonly onCrash?: (how: string) => void;
  /** The child's program; tests bring their own. */
  readonly worker?: string;
}

/** Makes tensors of pictures, in a child process. */
export interface ImageDecoder extends AsyncDisposable {
  /** A file, or decoded pixels, as the input of a model. @throws StatusError `IMAGE_INVALID`, `QUEUE_FULL` */
  tensor(source: Uint8Array | Picture, spec: ImageSpec, signal?: AbortSignal): Promise<ImageTensor>;
  /** A file as pixels, shrunk to a longer side of `sideMax`. @throws StatusError `IMAGE_INVALID`, `QUEUE_FULL` */
  picture(file: Uint8Array, sideMax: number, signal?: AbortSignal): Promise<DecodedPicture>;
  /** Lines of text cut out of a picture, in the order of `quads`. @throws StatusError `IMAGE_INVALID`, `QUEUE_FULL` */
  lines(picture: Picture, quads: readonly Quad[], spec: LineSpec, signal?: AbortSignal): Promise<readonly CutLine[]>;
  /** The process that decodes now, if one runs. */
  readonly pid: number | undefined;
}

const WORKER = fileURLToPath(new URL("./image-worker.ts", import.meta.url));
const RESTART_MS = 100;
const RESTART_MS_MAX = 2_000;
const MEMORY_WATCH_MS = 50;
/** The end of what a process says, kept for the case that it does not start. */
const SAID_CHARS_MAX = 1_000;
/** How long the process may take to start; the job's own time begins then. */
const START_MS_MAX = 30_000;
const PAGE_BYTES = 4_096;
/** V8's own heap in the child; pixels lie outside of it. */
const HEAP_MIB = 128;
const WHITE = 255;

/** A decoder; its process starts with the first job. */
export function createImageDecoder(options: ImageDecoderOptions = {}): ImageDecoder {
  const { fileBytesMax = 32 * 1024 ** 2, pixelsMax = 64_000_000, ...rest } = options;
  const child = new DecoderProcess({ jobMsMax: 15_000, memoryBytesMax: 1024 ** 3, queuedMax: 256, idleMsMax: 60_000, worker: WORKER, ...rest });
  const checkBytes = (file: Uint8Array): void => {
    if (file.length > fileBytesMax) throw new StatusError("IMAGE_INVALID", `the picture has ${file.length} bytes, more than ${fileBytesMax}: send a smaller one`);
  };
  return {
    async tensor(source, spec, signal) {
      if (source instanceof Uint8Array) checkBytes(source);
      return (await child.run({ op: "tensor", source, spec, decode: { pixelsMax, background: spec.background } }, signal)) as ImageTensor;
    },
    async picture(source, sideMax, signal) {
      checkBytes(source);
      return (await child.run({ op: "picture", source, decode: { pixelsMax, background: WHITE, sideMax } }, signal)) as DecodedPicture;
    },
    async lines(picture, quads, spec, signal) {
      return (await child.run({ op: "lines", picture, quads, spec }, signal)) as readonly CutLine[];
    },
    get pid() {
      return child.pid;
    },
    [Symbol.asyncDispose]: () => child.close(),
  };
}

type ProcessOptions = Required<Pick<ImageDecoderOptions, "jobMsMax" | "memoryBytesMax" | "queuedMax" | "idleMsMax" | "worker">> & Pick<ImageDecoderOptions, "onCrash">;

interface QueuedJob {
  readonly job: ImageJob;
  readonly resolve: (answer: ImageAnswer) => void;
  readonly reject: (error: StatusError) => void;
  /** The caller is gone: nobody waits for it. */
  abandoned: boolean;
}

class DecoderProcess {
  readonly #options: ProcessOptions;
  readonly #queue: QueuedJob[] = [];
  #child: ChildProcess | undefined;
  #isReady = false;
  #running: (QueuedJob & { readonly id: number }) | undefined;
  #nextId = 1;
  #crashesInRow = 0;
  #pause: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #limits: NodeJS.Timeout[] = [];
  #verdict: string | undefined;
  #closed = false;

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  run(job: ImageJob, signal?: AbortSignal): Promise<ImageAnswer> {
    if (signal?.aborted === true) return Promise.reject(StatusError.from(signal.reason));
    if (this.#closed) return Promise.reject(new StatusError("SHUTTING_DOWN", "the service is stopping: call again shortly"));
    if (this.#queue.length >= this.#options.queuedMax) return Promise.reject(new StatusError("QUEUE_FULL", `${this.#options.queuedMax} pictures wait to be decoded: call again later`));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        entry.abandoned = true;
        reject(StatusError.from(signal?.reason));
      };
      const settle = <T>(end: (value: T) => void) => (value: T): void => {
        signal?.removeEventListener("abort", onAbort);
        end(value);
      };
      const entry: QueuedJob = { job, resolve: settle(resolve), reject: settle(reject), abandoned: false };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#queue.push(entry);
      this.#advance();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#idle);
    for (const entry of this.#queue.splice(0)) entry.reject(new StatusError("SHUTTING_DOWN", "the service is stopping: call again shortly"));
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.ref();
    child.kill("SIGKILL");
    await gone;
  }

  /** I2 */
  #advance(): void {
    if (this.#running !== undefined || this.#pause !== undefined || this.#closed) return;
    while (this.#queue[0]?.abandoned === true) this.#queue.shift();
    const entry = this.#queue.shift();
    if (entry === undefined) return this.#rest();
    clearTimeout(this.#idle);
    this.#child ??= this.#spawn();
    this.#child.ref();
    this.#child.channel?.ref();
    const id = this.#nextId++;
    this.#running = { ...entry, id };
    this.#watch();
    this.#child.send({ id, job: entry.job }, (error) => {
      // A closed channel is the end of the process, which is told by its exit.
      if (error !== null) this.#child?.kill("SIGKILL");
    });
  }

  #spawn(): ChildProcess {
    const child = fork(this.#options.worker, [], {
      serialization: "advanced",
      // What the libraries say of strangers' files does not belong into the service's log.
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...childEnvironment(process.env), UV_THREADPOOL_SIZE: "2" },
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
    });
    this.#isReady = false;
    child.on("message", (message: ImageResponseMessage) => this.#settle(message));
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-SAID_CHARS_MAX)));
    child.once("exit", (code, signal) => this.#onExit(child, `${signal ?? `code ${code}`}${this.#isReady ? "" : `, before it was ready: ${said}`}`));
    child.once("error", (error) => this.#onExit(child, error.message));
    return child;
  }

  #settle(message: ImageResponseMessage): void {
    const running = this.#running;
    if ("ready" in message) {
      this.#isReady = true;
      if (running !== undefined) this.#watch();
      return;
    }
    if (running?.id !== message.id) return;
    this.#release();
    this.#crashesInRow = 0;
    if ("answer" in message) running.resolve(message.answer);
    else running.reject(new StatusError(message.reason in REASONS ? (message.reason as Reason) : "INTERNAL", message.message));
    this.#advance();
  }

  /** I1: what takes too long or too much memory is ended with its process. */
  #watch(): void {
    const { memoryBytesMax } = this.#options;
    const jobMsMax = this.#isReady ? this.#options.jobMsMax : START_MS_MAX;
    for (const timer of this.#limits) clearInterval(timer);
    const end = (verdict: string): void => {
      this.#verdict = verdict;
      this.#child?.kill("SIGKILL");
    };
    const late = setTimeout(() => end(`takes longer than ${jobMsMax} ms to decode`), jobMsMax);
    const memory = setInterval(() => {
      const pid = this.#child?.pid;
      if (pid === undefined) return;
      // Only Linux has the file; elsewhere the limits of pixels and time stand alone.
      readFile(`/proc/${pid}/statm`, "utf8").then(
        (text) => {
          if (Number(text.split(" ")[1]) * PAGE_BYTES > memoryBytesMax) end(`takes more than ${memoryBytesMax} bytes of memory to decode`);
        },
        () => clearInterval(memory),
      );
    }, MEMORY_WATCH_MS);
    this.#limits = [late, memory];
  }

  #release(): void {
    for (const timer of this.#limits) clearInterval(timer);
    this.#limits = [];
    this.#running = undefined;
  }

  #onExit(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    const running = this.#running;
    const verdict = this.#verdict;
    this.#verdict = undefined;
    this.#release();
    if (this.#closed) return running?.reject(new StatusError("SHUTTING_DOWN", "the service is stopping: call again shortly"));
    if (running !== undefined) {
      this.#options.onCrash?.(verdict ?? how);
      if (!this.#isReady) running.reject(new StatusError("INTERNAL", "pictures cannot be decoded: the process for it does not start; the log says why"));
      else running.reject(new StatusError("IMAGE_INVALID", verdict === undefined ? "the picture ended the process that decodes pictures: it is damaged, or made to do that" : `the picture ${verdict}: send a smaller one`));
      this.#crashesInRow++;
    }
    // I3
    const pauseMs = running === undefined ? 0 : Math.min(RESTART_MS * 2 ** (this.#crashesInRow - 1), RESTART_MS_MAX);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#advance();
    }, pauseMs);
  }

  /** I4 */
  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#child?.disconnect(), this.#options.idleMsMax);
    this.#idle.unref();
    this.#child?.unref();
    this.#child?.channel?.unref();
  }
}
