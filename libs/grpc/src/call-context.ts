import type { Metadata } from "@grpc/grpc-js";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { CallCancellation, type Cancellation } from "./cancellation.ts";
import { newRequestId } from "./request-id.ts";

/** Metadata key of the request id; the caller's own id is kept. */
export const REQUEST_ID_KEY = "x-request-id";

const REQUEST_ID_LENGTH_MAX = 128;

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** Aborts when the caller cancels (AbortError) or the deadline passes (TimeoutError). */
  readonly signal: AbortSignal;
  /** The same as `signal` for a fraction of its cost: for what runs with every call. */
  readonly cancellation: Cancellation;
  readonly deadline: Date | undefined;
  /** One text of the request metadata by its lower-case name. */
  header(name: string): string | undefined;
  /** All request metadata. */
  readonly metadata: Metadata;
  /** Full method path, "/package.Service/Method". */
  readonly method: string;
  /** Appears in log, trace, usage record and error. */
  readonly requestId: string;
  /** The verified caller; undefined on servers without authentication. */
  readonly identity: Identity | undefined;
  /** Sets a response header; has no effect after the first message. */
  setHeader(name: string, value: string): void;
  /** Sets a trailer. */
  setTrailer(name: string, value: string): void;
}

/** What a context needs of the call on the wire. */
export interface CallSource {
  /** One text of the request headers by its lower-case name. */
  header(name: string): string | undefined;
  readonly metadata: Metadata;
  /** Epoch milliseconds; infinite without a deadline. */
  readonly deadlineMs: number;
  /** Sends the response headers, unless the caller is gone. */
  sendHeaders(headers: Readonly<Record<string, string>>): void;
}

/** A context with the handles that only the server needs. */
export interface OwnedContext extends CallContext {
  identity: Identity | undefined;
  /** Undefined while none is set. */
  readonly trailers: Readonly<Record<string, string>> | undefined;
  /** Sends the headers that were set, once. */
  flushHeaders(): void;
  /** The call has its answer: what ends it now is no cancellation. */
  finish(): void;
  /** The caller is gone, or its deadline has passed. */
  cancel(): void;
}

/** The context of one call. What few handlers use is made when asked for. */
export class ServedCallContext implements OwnedContext {
  identity: Identity | undefined;
  readonly method: string;
  readonly requestId: string;
  readonly cancellation = new CallCancellation();
  trailers: Record<string, string> | undefined;
  readonly #source: CallSource;
  #headers: Record<string, string> | undefined;
  #flushed = false;
  #finished = false;

  constructor(source: CallSource, method: string) {
    this.#source = source;
    this.method = method;
    const sent = source.header(REQUEST_ID_KEY);
    this.requestId = sent !== undefined && sent.length > 0 && sent.length <= REQUEST_ID_LENGTH_MAX ? sent : newRequestId();
  }

  get signal(): AbortSignal {
    return this.cancellation.signal;
  }

  get deadline(): Date | undefined {
    const { deadlineMs } = this.#source;
    return Number.isFinite(deadlineMs) ? new Date(deadlineMs) : undefined;
  }

  get metadata(): Metadata {
    return this.#source.metadata;
  }

  header(name: string): string | undefined {
    return this.#source.header(name);
  }

  setHeader(name: string, value: string): void {
    (this.#headers ??= {})[name] = value;
  }

  setTrailer(name: string, value: string): void {
    (this.trailers ??= {})[name] = value;
  }

  flushHeaders(): void {
    if (this.#flushed) return;
    this.#flushed = true;
    const headers = (this.#headers ??= {});
    headers[REQUEST_ID_KEY] = this.requestId;
    this.#source.sendHeaders(headers);
  }

  finish(): void {
    this.#finished = true;
  }

  cancel(): void {
    if (this.#finished || this.cancellation.aborted) return;
    const late = Date.now() >= this.#source.deadlineMs - 1;
    this.cancellation.abort(new DOMException(late ? "the deadline passed" : "the caller cancelled", late ? "TimeoutError" : "AbortError"));
  }
}

/** The error of an aborted call: its own reason as a StatusError. */
export function abortError(cancellation: Cancellation): StatusError {
  return StatusError.from(cancellation.reason);
}
