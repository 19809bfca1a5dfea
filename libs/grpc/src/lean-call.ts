// One call over one HTTP/2 stream: request headers out, messages in, a status at the end. Whoever starts it gets messages
// and then exactly one end, whatever happens: an answer, an error, a cancellation, a deadline, or the connection's death.

import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { StatusError } from "@servable/errors";
import type { OutgoingCall } from "./channel.ts";
import { TIMER_MS_MAX, deadlineExceeded } from "./deadline.ts";
import { MessageReader } from "./message-frame.ts";
import { statusOfHttp, statusOfReset, statusOfTrailers } from "./response-status.ts";

/** grpc-timeout has at most 8 digits. */
const TIMEOUT_DIGITS_MAX = 99_999_999;

/** What a call reports. */
export interface LeanCallSink {
  message(message: Buffer): void;
  /** Once, after the last message; without an error the status was OK. */
  end(error: StatusError | undefined): void;
}

/** The HTTP/2 headers of a call. @throws StatusError when its deadline has passed or it is cancelled already */
export function requestHeaders({ path, headers, deadlineMs, signal }: OutgoingCall, authority: string, nowMs: number): OutgoingHttpHeaders {
  if (signal?.aborted === true) throw StatusError.from(signal.reason);
  const sent: OutgoingHttpHeaders = { ":method": "POST", ":path": path, ":scheme": "http", ":authority": authority, te: "trailers", "content-type": "application/grpc" };
  if (deadlineMs !== undefined) {
    const leftMs = Math.ceil(deadlineMs - nowMs);
    if (leftMs <= 0) throw deadlineExceeded();
    sent["grpc-timeout"] = leftMs <= TIMEOUT_DIGITS_MAX ? `${leftMs}m` : `${Math.min(TIMEOUT_DIGITS_MAX, Math.ceil(leftMs / 1000))}S`;
  }
  for (const name in headers) sent[name] = headers[name];
  return sent;
}

/** A call whose stream was opened. */
export class LeanCall {
  readonly stream: ClientHttp2Stream;
  readonly #sink: LeanCallSink;
  readonly #reader: MessageReader;
  readonly #signal: OutgoingCall["signal"];
  readonly #timer: NodeJS.Timeout | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #error: unknown;
  #ended = false;

  constructor(stream: ClientHttp2Stream, { deadlineMs, signal }: OutgoingCall, receiveBytesMax: number, sink: LeanCallSink) {
    this.stream = stream;
    this.#sink = sink;
    this.#signal = signal;
    this.#reader = new MessageReader(receiveBytesMax, (message) => {
      if (!this.#ended) sink.message(message);
    });
    stream.on("response", this.#onHeaders);
    stream.on("data", this.#onData);
    stream.on("trailers", this.#onTrailers);
    stream.on("error", this.#onError);
    stream.on("close", this.#onClose);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    const leftMs = deadlineMs === undefined ? undefined : deadlineMs - Date.now();
    if (leftMs !== undefined && leftMs <= TIMER_MS_MAX) this.#timer = setTimeout(() => this.fail(deadlineExceeded()), leftMs);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the server said that it never began the call, so that it may be made again elsewhere. */
  get refused(): boolean {
    return this.stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  }

  /** Ends the call with an error and tells the server that nobody waits any more. */
  fail(error: StatusError): void {
    if (this.#ended) return;
    this.stream.close(constants.NGHTTP2_CANCEL);
    // A paused stream would never close.
    this.stream.resume();
    this.#end(error);
  }

  readonly #onHeaders = (headers: IncomingHttpHeaders): void => {
    const refused = statusOfHttp(headers);
    if (refused !== undefined) return this.fail(refused);
    // An answer without messages may be nothing but its status.
    if ("grpc-status" in headers) this.#trailers = headers;
  };

  readonly #onData = (chunk: Buffer): void => {
    if (this.#ended) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.fail(StatusError.from(error));
    }
  };

  readonly #onTrailers = (trailers: IncomingHttpHeaders): void => {
    this.#trailers = trailers;
    // The end of the stream takes another turn of the event loop; when all is here, nobody need wait for it.
    if (this.stream.readableLength === 0 && !this.stream.isPaused()) this.#settle();
  };

  readonly #onError = (error: unknown): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    // node:http2 keeps ended streams until the next full collection; what hangs on them need not wait with them.
    this.stream.removeAllListeners();
    if (this.#ended) return;
    if (this.#trailers !== undefined) return this.#settle();
    const { session, rstCode } = this.stream;
    const connected = session !== undefined && !session.destroyed && this.#error === undefined;
    this.#end(statusOfReset(rstCode ?? constants.NGHTTP2_NO_ERROR, connected || rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM, this.#error));
  };

  readonly #onAbort = (): void => this.fail(StatusError.from(this.#signal?.reason));

  #settle(): void {
    if (this.#ended || this.#trailers === undefined) return;
    const error = statusOfTrailers(this.#trailers);
    this.#end(error ?? (this.#reader.incomplete ? new StatusError("INTERNAL", "the answer ended within a message") : undefined));
  }

  #end(error: StatusError | undefined): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#sink.end(error);
  }
}
