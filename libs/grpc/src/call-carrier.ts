// The client's side of servable.transport.v1.CallCarrierService: small unary calls as messages on one long stream. Calls of one turn
// of the event loop leave in one message.
//
// I1: a call is in #calls from start to its one end: an answer, an error, a cancellation, its deadline, the stream's death.
// I2: a stream takes new calls until its server says that it drains, or it ends; then the next call opens another.

import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { StatusError } from "@servable/errors";
import { BATCH_BYTES_MAX, BatchWriter, readAnswers, type CarriedAnswer } from "./carried-messages.ts";
import type { OutgoingCall } from "./channel.ts";
import { TIMER_MS_MAX, deadlineExceeded } from "./deadline.ts";
import { MessageReader, messageTooLarge } from "./message-frame.ts";
import { statusOfHttp, statusOfReset } from "./response-status.ts";
import { statusErrorOf } from "./status.ts";

/** "/servable.transport.v1.CallCarrierService/Carry". */
export const CARRY_PATH = "/servable.transport.v1.CallCarrierService/Carry";
/** Header of the stream: the largest answer that its client takes, in bytes. One larger would end the stream and all calls on it. */
export const ANSWER_BYTES_KEY = "servable-answer-bytes-max";
/** Larger requests would hold up the others behind them. */
export const CARRIED_BYTES_MAX = 32 * 1024;
/** Bytes that wait for the socket before calls take streams of their own again. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** gRPC's code of an answer that is none of an error. */
const OK: number = GrpcStatus.OK;
const IDS = 2 ** 31;

/** What becomes of one carried call. */
export interface CarriedCallSink {
  resolve(answer: Uint8Array): void;
  reject(error: StatusError): void;
  /** The server has not begun it and does not carry calls: make it in another way. */
  refused(): void;
}

/** What a carrier stands on. */
export interface CallCarrierOptions {
  /** Opens the stream. @throws StatusError as calls do */
  readonly open: () => ClientHttp2Stream;
  /** Counts a call in. @throws StatusError `QUEUE_FULL` above the bound */
  readonly begin: () => void;
  /** Counts a call out. */
  readonly end: () => void;
  readonly receiveBytesMax: number;
  /** Headers that the stream has already, e.g. the token. */
  readonly shared: Readonly<Record<string, string>>;
}

interface Waiting {
  readonly sink: CarriedCallSink;
  readonly carrier: CarrierStream;
  timer: NodeJS.Timeout | undefined;
  signal: OutgoingCall["signal"];
  onAbort: (() => void) | undefined;
}

/** Carries calls on a stream that it opens when the first one comes. */
export class CallCarrier {
  readonly #options: CallCarrierOptions;
  readonly #calls = new Map<number, Waiting>();
  #stream: CarrierStream | undefined;
  #lastId = 0;
  #unsupported = false;
  #closed = false;

  constructor(options: CallCarrierOptions) {
    this.#options = options;
  }

  /** Whether a call of this size may be carried now. */
  takes(requestBytes: number): boolean {
    return requestBytes <= CARRIED_BYTES_MAX && !this.#unsupported && !this.#closed && (this.#stream?.waitingBytes ?? 0) < WAITING_BYTES_MAX;
  }

  /** Makes a call. @throws StatusError when it cannot begin */
  start(call: OutgoingCall, request: Uint8Array, sink: CarriedCallSink): void {
    const { deadlineMs, signal } = call;
    if (signal?.aborted === true) throw StatusError.from(signal.reason);
    const leftMs = deadlineMs === undefined ? 0 : Math.ceil(deadlineMs - Date.now());
    if (deadlineMs !== undefined && leftMs <= 0) throw deadlineExceeded();
    this.#options.begin();
    let stream: CarrierStream;
    try {
      stream = this.#stream ??= this.#open();
    } catch (error) {
      this.#options.end();
      throw error;
    }
    const id = this.#nextId();
    const waiting: Waiting = { sink, carrier: stream, timer: undefined, signal, onAbort: undefined };
    this.#calls.set(id, waiting);
    if (leftMs > 0 && leftMs <= TIMER_MS_MAX) waiting.timer = setTimeout(() => this.#giveUp(id, deadlineExceeded()), leftMs);
    if (signal !== undefined) {
      waiting.onAbort = () => this.#giveUp(id, StatusError.from(signal.reason));
      signal.addEventListener("abort", waiting.onAbort, { once: true });
    }
    stream.addCall(id, call.path, headersOf(call.headers, this.#options.shared), leftMs, request);
  }

  /** Takes no more calls; those under way go on. */
  close(): void {
    this.#closed = true;
    this.#stream?.finish();
    this.#stream = undefined;
  }

  #open(): CarrierStream {
    const stream: CarrierStream = new CarrierStream(this.#options.open(), this.#options.receiveBytesMax, {
      answer: (answer) => this.#answer(answer),
      draining: () => this.#leave(stream),
      end: (error) => this.#ended(stream, error),
    });
    return stream;
  }

  #leave(stream: CarrierStream): void {
    if (this.#stream === stream) this.#stream = undefined;
    stream.finish();
  }

  #answer({ id, status, statusMessage, statusDetails, message }: CarriedAnswer): void {
    const waiting = this.#take(id);
    // One that was given up: its answer crossed the cancellation.
    if (waiting === undefined) return;
    const { receiveBytesMax } = this.#options;
    if (message.length > receiveBytesMax) waiting.sink.reject(messageTooLarge(message.length, receiveBytesMax));
    else if (status === OK) waiting.sink.resolve(message);
    else waiting.sink.reject(statusErrorOf(status, statusMessage, statusDetails));
  }

  #giveUp(id: number, error: StatusError): void {
    const waiting = this.#take(id);
    if (waiting === undefined) return;
    waiting.carrier.addCancellation(id);
    waiting.sink.reject(error);
  }

  #ended(stream: CarrierStream, { error, refused }: CarrierEnd): void {
    if (this.#stream === stream) this.#stream = undefined;
    if (error.code === "UNIMPLEMENTED") this.#unsupported = true;
    for (const [id, { carrier }] of this.#calls) {
      if (carrier !== stream) continue;
      const waiting = this.#take(id);
      if (refused) waiting?.sink.refused();
      else waiting?.sink.reject(error);
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#calls.get(id);
    if (waiting === undefined) return undefined;
    this.#calls.delete(id);
    clearTimeout(waiting.timer);
    if (waiting.onAbort !== undefined) waiting.signal?.removeEventListener("abort", waiting.onAbort);
    this.#options.end();
    return waiting;
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % IDS;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }
}

/** How a carrier's stream ended. */
interface CarrierEnd {
  readonly error: StatusError;
  /** None of its calls was begun. */
  readonly refused: boolean;
}

/** One stream of calls up and answers down. */
class CarrierStream {
  readonly #stream: ClientHttp2Stream;
  readonly #batch = new BatchWriter();
  #scheduled = false;
  #finishing = false;
  #status: IncomingHttpHeaders | undefined;
  #error: unknown;

  constructor(stream: ClientHttp2Stream, receiveBytesMax: number, on: { answer: (answer: CarriedAnswer) => void; draining: () => void; end: (end: CarrierEnd) => void }) {
    this.#stream = stream;
    const reader = new MessageReader(receiveBytesMax + 2 * BATCH_BYTES_MAX, (batch) => readAnswers(batch, on.answer, on.draining));
    stream.on("response", (headers: IncomingHttpHeaders) => {
      if ("grpc-status" in headers || statusOfHttp(headers) !== undefined) this.#status = headers;
    });
    stream.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#error = error;
        stream.close(constants.NGHTTP2_CANCEL);
      }
    });
    stream.on("trailers", (trailers: IncomingHttpHeaders) => (this.#status ??= trailers));
    stream.on("error", (error) => (this.#error ??= error));
    stream.on("close", () => {
      stream.removeAllListeners();
      on.end(this.#end());
    });
  }

  /** Bytes that the socket has not taken. */
  get waitingBytes(): number {
    return this.#stream.writableLength;
  }

  addCall(id: number, path: string, headers: readonly string[], timeoutMs: number, message: Uint8Array): void {
    this.#batch.addCall({ id, path, headers, timeoutMs, message });
    if (this.#batch.full) this.#stream.write(this.#batch.take());
    else this.#schedule();
  }

  addCancellation(id: number): void {
    if (this.#stream.writableEnded) return;
    this.#batch.addCancellation(id);
    this.#schedule();
  }

  /** No more calls: the server ends the stream after its last answer. */
  finish(): void {
    this.#finishing = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After what the event loop has read already: those calls go along.
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#stream.writableEnded || this.#stream.destroyed) return;
    if (!this.#batch.empty) this.#stream.write(this.#batch.take());
    if (this.#finishing) this.#stream.end();
  };

  #end(): CarrierEnd {
    const { rstCode, session } = this.#stream;
    const status = this.#status;
    const unknown = status !== undefined && (status["grpc-status"] === String(GrpcStatus.UNIMPLEMENTED) || Number(status[":status"]) === 404);
    if (unknown) return { error: new StatusError("METHOD_UNKNOWN", "the server does not carry calls"), refused: true };
    const connected = session !== undefined && !session.destroyed && this.#error === undefined;
    return { error: statusOfReset(rstCode ?? constants.NGHTTP2_NO_ERROR, connected && rstCode !== constants.NGHTTP2_NO_ERROR, this.#error), refused: rstCode === constants.NGHTTP2_REFUSED_STREAM };
  }
}

/** A call's own headers, names and values in turn. */
function headersOf(headers: Readonly<Record<string, string>>, shared: Readonly<Record<string, string>>): string[] {
  const own: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && shared[name] !== value) own.push(name, value);
  }
  return own;
}
