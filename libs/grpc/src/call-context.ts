import { randomUUID } from "node:crypto";
import { Metadata } from "@grpc/grpc-js";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { CallCancellation, type Cancellation } from "./cancellation.ts";

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

/** The part of a grpc-js server call that every kind of call has. */
export interface AnyServerCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  sendMetadata(metadata: Metadata): void;
  on(event: "cancelled", listener: () => void): unknown;
}

/** A context with the handles that only the server needs. */
export interface OwnedContext extends CallContext {
  identity: Identity | undefined;
  /** Undefined while none is set. */
  readonly trailers: Metadata | undefined;
  /** Sends the headers that were set, once. */
  flushHeaders(): void;
  /** The call has its answer: what ends it now is no cancellation. */
  finish(): void;
}

/** The context of one call, with its cancellation and deadline wired. What few handlers use is made when asked for. */
export class ServedCallContext implements OwnedContext {
  identity: Identity | undefined;
  readonly method: string;
  readonly requestId: string;
  readonly cancellation = new CallCancellation();
  trailers: Metadata | undefined;
  readonly #call: AnyServerCall;
  readonly #deadlineMs: number;
  #headers: Metadata | undefined;
  #flushed = false;
  #finished = false;

  constructor(call: AnyServerCall, method: string) {
    this.#call = call;
    this.method = method;
    const at = call.getDeadline();
    this.#deadlineMs = typeof at === "number" ? at : at.getTime();
    const sent = this.header(REQUEST_ID_KEY);
    this.requestId = sent !== undefined && sent.length > 0 && sent.length <= REQUEST_ID_LENGTH_MAX ? sent : randomUUID();
    // grpc-js says "cancelled" at the end of every call.
    call.on("cancelled", () => {
      if (!this.#finished) this.cancellation.abort(this.#endReason());
    });
  }

  get signal(): AbortSignal {
    return this.cancellation.signal;
  }

  get deadline(): Date | undefined {
    return Number.isFinite(this.#deadlineMs) ? new Date(this.#deadlineMs) : undefined;
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  header(name: string): string | undefined {
    const value = this.#call.metadata.get(name)[0];
    return typeof value === "string" ? value : undefined;
  }

  setHeader(name: string, value: string): void {
    (this.#headers ??= new Metadata()).set(name, value);
  }

  setTrailer(name: string, value: string): void {
    (this.trailers ??= new Metadata()).set(name, value);
  }

  flushHeaders(): void {
    if (this.#flushed || this.#call.cancelled) return;
    this.#flushed = true;
    const headers = (this.#headers ??= new Metadata());
    headers.set(REQUEST_ID_KEY, this.requestId);
    this.#call.sendMetadata(headers);
  }

  finish(): void {
    this.#finished = true;
  }

  #endReason(): DOMException {
    const late = Date.now() >= this.#deadlineMs - 1;
    return new DOMException(late ? "the deadline passed" : "the caller cancelled", late ? "TimeoutError" : "AbortError");
  }
}

/** The error of an aborted call: its own reason as a StatusError. */
export function abortError(cancellation: Cancellation): StatusError {
  return StatusError.from(cancellation.reason);
}
