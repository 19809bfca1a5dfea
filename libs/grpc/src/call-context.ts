import { randomUUID } from "node:crypto";
import { Metadata } from "@grpc/grpc-js";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";

/** Metadata key of the request id; the caller's own id is kept. */
export const REQUEST_ID_KEY = "x-request-id";

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** Aborts when the caller cancels (AbortError) or the deadline passes (TimeoutError). */
  readonly signal: AbortSignal;
  readonly deadline: Date | undefined;
  /** Request metadata. */
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
  readonly trailers: Metadata;
  /** Sends the headers that were set, once. */
  flushHeaders(): void;
}

/** Builds the context of one call and wires cancellation and deadline to its signal. */
export function createContext(call: AnyServerCall, method: string): OwnedContext {
  const controller = new AbortController();
  const at = call.getDeadline();
  const time = at instanceof Date ? at.getTime() : at;
  const deadline = Number.isFinite(time) ? new Date(time) : undefined;
  call.on("cancelled", () => {
    const late = deadline !== undefined && Date.now() >= deadline.getTime() - 1;
    controller.abort(new DOMException(late ? "the deadline passed" : "the caller cancelled", late ? "TimeoutError" : "AbortError"));
  });
  const sent = call.metadata.get(REQUEST_ID_KEY)[0];
  const headers = new Metadata();
  let flushed = false;
  return {
    signal: controller.signal,
    deadline,
    metadata: call.metadata,
    method,
    requestId: typeof sent === "string" && sent.length > 0 && sent.length <= 128 ? sent : randomUUID(),
    identity: undefined,
    trailers: new Metadata(),
    setHeader: (name, value) => headers.set(name, value),
    setTrailer(name, value) {
      this.trailers.set(name, value);
    },
    flushHeaders() {
      if (flushed || call.cancelled) return;
      flushed = true;
      headers.set(REQUEST_ID_KEY, this.requestId);
      call.sendMetadata(headers);
    },
  };
}

/** The error of an aborted signal: its own reason as a StatusError. */
export function abortError(signal: AbortSignal): StatusError {
  return StatusError.from(signal.reason);
}
