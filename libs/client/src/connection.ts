import type { DescService } from "@bufbuild/protobuf";
import { createChannel, createClient, type CallOptions, type Channel, type Client } from "@servable/grpc";
import { retrying, type RetryPolicy } from "./retry.ts";

/** Where and as whom a client calls. */
export interface ConnectionOptions {
  /** The gateway's gRPC port, "host:port". */
  readonly address: string;
  /** Sent as `authorization: Bearer …`; absent only where the platform runs with SERVABLE_AUTH=none. */
  readonly apiKey?: string | undefined;
  /** Project id that short names belong to. @default "default" */
  readonly project?: string | undefined;
  /** How long a call without a stream may take. @default 30000 */
  readonly timeoutMs?: number | undefined;
  /** Repetition of calls that may arrive twice. */
  readonly retry?: RetryPolicy | undefined;
}

/** What a caller may say of one call. */
export interface ClientCallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** One channel, the caller's key on every call, and the names of the project. */
export class Connection {
  readonly address: string;
  readonly project: string;
  readonly #channel: Channel;
  readonly #defaults: Pick<CallOptions, "metadata" | "timeoutMs">;
  readonly #retry: RetryPolicy;

  constructor(options: ConnectionOptions) {
    this.address = options.address;
    this.project = options.project ?? "default";
    this.#retry = options.retry ?? {};
    this.#channel = createChannel(options.address);
    this.#defaults = {
      timeoutMs: options.timeoutMs ?? 30_000,
      ...(options.apiKey === undefined ? {} : { metadata: { authorization: `Bearer ${options.apiKey}` } }),
    };
  }

  /** "projects/{project}". */
  get parent(): string {
    return `projects/${this.project}`;
  }

  /** The full name of a short one: `name("models", "mnist")` → "projects/default/models/mnist"; full names stay. */
  name(collection: string, id: string): string {
    return id.startsWith("projects/") ? id : `${this.parent}/${collection}/${id}`;
  }

  /** A typed client of one service. */
  client<S extends DescService>(service: S): Client<S> {
    return createClient(service, this.#channel, this.#defaults);
  }

  /** Runs a call that may arrive twice, again while the service is UNAVAILABLE. */
  retrying<T>(call: (attempt: number) => Promise<T>, options: ClientCallOptions = {}): Promise<T> {
    return retrying(call, this.#retry, options.signal);
  }

  /** How this connection repeats calls. */
  get retryPolicy(): RetryPolicy {
    return this.#retry;
  }

  close(): void {
    this.#channel.close();
  }
}

/** Options of streams: they take as long as they take, unless the caller says otherwise. */
export function untimed(options: ClientCallOptions): ClientCallOptions {
  return { signal: options.signal, timeoutMs: options.timeoutMs };
}

/** Reads a list to its end, page by page. */
export async function allPages<T>(page: (pageToken: string) => Promise<{ items: readonly T[]; nextPageToken: string }>): Promise<T[]> {
  const all: T[] = [];
  let pageToken = "";
  do {
    const { items, nextPageToken } = await page(pageToken);
    all.push(...items);
    pageToken = nextPageToken;
  } while (pageToken !== "");
  return all;
}
