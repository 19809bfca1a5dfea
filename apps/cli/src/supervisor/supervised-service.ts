import { fork, type ChildProcess } from "node:child_process";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { ServiceLog } from "./service-log.ts";

/** Attempts before the first "ready"; after it a service is started again for ever. */
const FIRST_ATTEMPTS_MAX = 3;
const FIRST_WAIT_MS = 100;
const WAIT_MS_MAX = 5_000;
/** A service that served this long has recovered: its next crash counts as the first. */
const STEADY_MS = 30_000;
/** Exit codes of a start that cannot succeed unchanged: 69 a port or database, 78 settings or data directory. */
const HOPELESS_EXIT_CODES: readonly (number | null)[] = [69, 78];

/** One process to be kept running. */
export interface ServiceSpec {
  readonly name: string;
  /** Its main module. */
  readonly entry: string;
  /** Its environment, asked for at each start. */
  readonly env: () => NodeJS.ProcessEnv;
}

/** What a service said when it was ready. */
export type ReadyMessage = Readonly<Record<string, unknown>> & { readonly type: "ready" };

/** What happens to a service, for whoever shows it. */
export type ServiceEvent =
  | { readonly kind: "ready"; readonly service: string; readonly again: boolean }
  | { readonly kind: "exited"; readonly service: string; readonly how: string; readonly waitMs: number };

/**
 * Keeps one service process running.
 *
 *     STARTING → READY → (exit) → WAITING → STARTING …     STARTING → FAILED: it never served and will not
 *     any state → STOPPING → STOPPED
 *
 * Children lead their own process group, so that Ctrl-C reaches only us and the stop stays in order; they end by
 * themselves when the channel to us breaks.
 */
export class SupervisedService {
  readonly #spec: ServiceSpec;
  readonly #log: ServiceLog;
  readonly #onEvent: (event: ServiceEvent) => void;
  readonly #first = Promise.withResolvers<ReadyMessage>();
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #everReady = false;
  #readyAtMs: number | undefined;
  #crashes = 0;
  #stopping = false;

  constructor(spec: ServiceSpec, log: ServiceLog, onEvent: (event: ServiceEvent) => void) {
    this.#spec = spec;
    this.#log = log;
    this.#onEvent = onEvent;
    // Whoever starts several services awaits them together; one that fails first must not count as unhandled.
    this.#first.promise.catch(() => {});
  }

  get name(): string {
    return this.#spec.name;
  }

  /** The running process; undefined between two. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves at the first "ready". @throws StatusError with the reason that the service gave */
  start(): Promise<ReadyMessage> {
    this.#spawn();
    return this.#first.promise;
  }

  /** Lets the process drain, then ends it; after `deadlineMs` by force. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#first.reject(new StatusError("SHUTTING_DOWN", `${this.name} was stopped before it served`));
    const child = this.#child;
    if (child !== undefined) {
      const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
      const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
      child.kill("SIGTERM");
      await ended;
      clearTimeout(timer);
    }
    await this.#log.close();
  }

  #spawn(): void {
    this.#log.restart();
    const child = fork(this.#spec.entry, [], { env: this.#spec.env(), execArgv: [], detached: true, stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.#child = child;
    if (child.stdout !== null) this.#log.read(child.stdout);
    if (child.stderr !== null) this.#log.read(child.stderr);
    child.on("message", (message) => {
      if (isReady(message)) this.#ready(message);
    });
    // A process that cannot be spawned raises "error" and no exit.
    child.on("error", (error) => {
      if (child.pid === undefined) this.#ended(null, null, error.message);
    });
    // "close" comes after the last line of output, which says why.
    child.on("close", (code, signal) => this.#ended(code, signal));
  }

  #ready(message: ReadyMessage): void {
    const again = this.#everReady;
    this.#everReady = true;
    this.#readyAtMs = Date.now();
    this.#onEvent({ kind: "ready", service: this.name, again });
    this.#first.resolve(message);
  }

  #ended(code: number | null, signal: NodeJS.Signals | null, trouble?: string): void {
    this.#child = undefined;
    if (this.#stopping) return;
    if (this.#readyAtMs !== undefined && Date.now() - this.#readyAtMs >= STEADY_MS) this.#crashes = 0;
    this.#readyAtMs = undefined;
    this.#crashes += 1;
    if (!this.#everReady && (HOPELESS_EXIT_CODES.includes(code) || this.#crashes >= FIRST_ATTEMPTS_MAX)) {
      this.#first.reject(this.#failure(code, signal, trouble));
      return;
    }
    const waitMs = Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (this.#crashes - 1));
    this.#onEvent({ kind: "exited", service: this.name, how: signal === null ? `exit code ${code}` : signal, waitMs });
    this.#timer = setTimeout(() => this.#spawn(), waitMs);
  }

  /** A failed start as the service itself put it: "name: message (REASON)"; without a reason the exit code gives it. */
  #failure(code: number | null, signal: NodeJS.Signals | null, trouble: string | undefined): StatusError {
    const metadata = { service: this.name };
    const said = /^[\w-]+: (.*?)(?: \(([A-Z_]+)\))?$/.exec(this.#log.trouble ?? "");
    const reason = said?.[2] ?? (code === 78 ? "CONFIG_INVALID" : code === 69 ? "PORT_IN_USE" : "");
    if (said?.[1] !== undefined && reason in REASONS) return new StatusError(reason as Reason, said[1], { metadata });
    const how = trouble ?? this.#log.trouble ?? (signal === null ? `exit code ${code}` : signal);
    return new StatusError("SERVICE_UNAVAILABLE", `${this.name} does not start (${how}): see its log`, { metadata });
  }
}

function isReady(message: unknown): message is ReadyMessage {
  return typeof message === "object" && message !== null && "type" in message && message.type === "ready";
}
