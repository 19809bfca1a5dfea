// grpc-js serves every call, but a unary one pays for what only streams need: interceptors, queues, metadata objects, a
// promise for each message, 13 of 32 µs in all. So unary calls are taken off the same HTTP/2 server before grpc-js sees
// them, and answered on their streams directly. Whatever is unusual (other kinds, compressed requests, unknown methods)
// goes on to grpc-js, and so does everything on a version of it that has other insides.

import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Metadata, type Server } from "@grpc/grpc-js";
import { StatusError } from "@servable/errors";
import { CARRY_PATH } from "./call-carrier.ts";
import type { CarrierDoor } from "./carrier-door.ts";
import { ServedCallContext, type CallSource, type OwnedContext } from "./call-context.ts";
import { answerUnary, runCall, type CallPolicy } from "./handlers.ts";
import { TIMER_MS_MAX, deadlineExceeded } from "./deadline.ts";
import { MessageReader, frameOf } from "./message-frame.ts";
import type { UntypedMethod } from "./service.ts";
import { DETAILS_KEY, toGrpcStatus } from "./status.ts";

/** What grpc-js 1.14 has behind its types. */
interface ServerInternals {
  _setupHandlers?: (http2Server: Http2Server, ...rest: unknown[]) => void;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => void;

const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };
const RESPOND_OPTIONS = { waitForTrailers: true };

/** A unary method and what its calls pass through. */
export interface DoorMethod {
  readonly method: UntypedMethod;
  readonly policy: CallPolicy;
}

/** Serves unary methods, by path, of a server that does not listen yet, and carried ones; answers whether this grpc-js can be told. */
export function openUnaryDoor(server: Server, served: ReadonlyMap<string, DoorMethod>, receiveBytesMax: number, carriers: CarrierDoor | undefined): boolean {
  const internals = server as unknown as ServerInternals;
  const { _setupHandlers: setupHandlers } = internals;
  if (typeof setupHandlers !== "function") return false;
  internals._setupHandlers = function (http2Server, ...rest) {
    setupHandlers.call(server, http2Server, ...rest);
    const [grpcJs, ...others] = http2Server.listeners("stream") as StreamListener[];
    if (grpcJs === undefined || others.length > 0) return;
    http2Server.removeAllListeners("stream");
    http2Server.on("stream", (stream: ServerHttp2Stream, headers, ...more: unknown[]) => {
      if (carriers !== undefined && headers[":path"] === CARRY_PATH && isPlain(headers)) return carriers.serve(stream, headers);
      const method = isPlain(headers) ? served.get(headers[":path"] ?? "") : undefined;
      if (method === undefined) grpcJs.call(http2Server, stream, headers, ...more);
      else serve(method, stream, headers, receiveBytesMax);
    });
  };
  return true;
}

/** An uncompressed gRPC request. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers["grpc-encoding"];
  return headers[":method"] === "POST" && (encoding === undefined || encoding === "identity") && (headers["content-type"] ?? "").startsWith("application/grpc") && timeoutMsOf(headers) !== undefined;
}

function serve({ method, policy }: DoorMethod, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, receiveBytesMax: number): void {
  const call = new DirectCall(stream, headers);
  const context = new ServedCallContext(call, headers[":path"] ?? "");
  let request: Buffer | undefined;
  const reader = new MessageReader(receiveBytesMax, (message) => {
    if (request !== undefined) throw new StatusError("MESSAGE_MALFORMED", `Received a second request message for unary method ${context.method}`, { code: "UNIMPLEMENTED" });
    request = message;
  });
  call.start(() => context.cancel());
  let heldBytes = 0;
  stream.on("data", (chunk: Buffer) => {
    if (call.ended) return;
    try {
      policy.memory?.take(chunk.length);
      heldBytes += chunk.length;
      reader.push(chunk);
    } catch (error) {
      call.refuse(StatusError.from(error));
    }
  });
  // Not before a slow reader has taken the answer.
  stream.on("close", () => policy.memory?.give(heldBytes));
  stream.on("end", () => {
    if (call.ended) return;
    const message = request;
    if (message === undefined || reader.incomplete) return call.refuse(new StatusError("MESSAGE_MALFORMED", `Received no request message for unary method ${context.method}`, { code: "UNIMPLEMENTED" }));
    void runCall(context, policy, async () => {
      const answer = await answerUnary(method, message, context);
      context.finish();
      if (call.ended) return;
      policy.memory?.add(answer.length);
      heldBytes += answer.length;
      call.answer(answer, context);
    }).then((failure) => failure && call.refuse(failure));
  });
}

/** One unary call on its stream. */
class DirectCall implements CallSource {
  readonly deadlineMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  #timer: NodeJS.Timeout | undefined;
  #sent: Readonly<Record<string, string>> = {};
  #ended = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream;
    this.#headers = headers;
    this.deadlineMs = Date.now() + (timeoutMsOf(headers) ?? Infinity);
  }

  /** Whether the answer is out, or nobody waits for it. */
  get ended(): boolean {
    return this.#ended;
  }

  get metadata(): Metadata {
    return Metadata.fromHttp2Headers(this.#headers);
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  /** Watches the caller and the clock. */
  start(onCancel: () => void): void {
    const leftMs = this.deadlineMs - Date.now();
    if (leftMs <= TIMER_MS_MAX) {
      this.#timer = setTimeout(() => {
        onCancel();
        this.refuse(deadlineExceeded());
      }, leftMs);
    }
    // Streams break when callers go; "close" follows and says all there is to say.
    this.#stream.on("error", () => {});
    this.#stream.on("close", () => {
      clearTimeout(this.#timer);
      this.#ended = true;
      onCancel();
      // node:http2 keeps ended streams until the next full collection; what hangs on them need not wait with them.
      this.#stream.removeAllListeners();
    });
  }

  sendHeaders(headers: Readonly<Record<string, string>>): void {
    // They go out with the answer.
    this.#sent = headers;
  }

  answer(message: Buffer, context: OwnedContext): void {
    if (!this.#begin()) return;
    context.flushHeaders();
    const stream = this.#stream;
    stream.respond(Object.assign(responseHeaders(), this.#sent), RESPOND_OPTIONS);
    stream.on("wantTrailers", () => stream.sendTrailers(context.trailers === undefined ? { "grpc-status": "0" } : { "grpc-status": "0", ...context.trailers }));
    stream.end(frameOf(message));
  }

  /** Answers an error; what still comes of the request is dropped: a reset would overtake the answer. */
  refuse(error: StatusError): void {
    if (!this.#begin()) return;
    const { code, details, metadata } = toGrpcStatus(error);
    const bytes = metadata.get(DETAILS_KEY)[0];
    this.#stream.respond({ ...responseHeaders(), "grpc-status": String(code), "grpc-message": encodeURI(details), [DETAILS_KEY]: Buffer.from(bytes as Buffer).toString("base64") }, { endStream: true });
  }

  #begin(): boolean {
    if (this.#ended || this.#stream.destroyed || this.#stream.closed) return false;
    clearTimeout(this.#timer);
    return (this.#ended = true);
  }
}

function responseHeaders(): Record<string, string | number> {
  return { ":status": 200, "content-type": "application/grpc+proto", "grpc-accept-encoding": "identity,deflate,gzip" };
}

/** Infinite without the header, undefined for one that says nothing. */
function timeoutMsOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headers["grpc-timeout"];
  if (text === undefined) return Infinity;
  const match = typeof text === "string" ? /^(\d{1,8})([HMSmun])$/.exec(text) : null;
  return match === null ? undefined : Number(match[1]) * (UNITS_MS[match[2] ?? ""] ?? 0);
}
