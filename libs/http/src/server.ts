import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createGunzip, createInflate } from "node:zlib";
import { SpanKind, SpanStatusCode, context, propagation, trace, type Span } from "@opentelemetry/api";
import { StatusError, httpStatusOf } from "@servable/errors";
import type { Logger } from "@servable/telemetry";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { createBodyMemory } from "./body-memory.ts";
import { parserFailure, refuseConnection } from "./linger.ts";

/** Largest body taken unless told otherwise: Triton's default. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Bodies that may be held at once, as a multiple of the largest one. */
const HELD_BODIES_MAX = 8;
/** How long a request may take to arrive. */
const REQUEST_MS_MAX = 300_000;
/** How long a caller may take no byte of an answer. */
const ANSWER_STALL_MS_MAX = 60_000;

/** What a server serves and under which rules. */
export interface HttpServerOptions {
  readonly host: string;
  /** 0 = any. */
  readonly port: number;
  /** The variable that PORT_IN_USE names. */
  readonly portVariable: string;
  /** Largest body taken, after decompression too. @default 64 MiB */
  readonly bodyBytesMax?: number;
  /** Bytes of all bodies that are held at once, requests and answers together. @default 8 times bodyBytesMax */
  readonly heldBytesMax?: number;
  /** `insecure` takes requests that say two lengths at once, as some test clients do: safe only without a proxy in front. @default strict */
  readonly validation?: "strict" | "insecure" | undefined;
  /** Registers routes. Bodies arrive as bytes whatever their content type, since stock clients send none. */
  readonly routes: (app: FastifyInstance) => void;
  /** The body of an error answer. @default the form of `errorBody` */
  readonly errorBody?: (error: StatusError, request: FastifyRequest) => unknown;
  /** Called once per answered request. */
  readonly onRequestEnd?: (request: FastifyRequest, reply: FastifyReply) => void;
  readonly logger?: Logger;
}

/** A running server; disposing lets requests in flight finish. */
export interface HttpServer extends AsyncDisposable {
  /** "host:port" with the real port. */
  readonly address: string;
}

declare module "fastify" {
  interface FastifyRequest {
    /** The request's span; handlers run in its context. */
    span: Span;
    /** What the caller calls its body, "" where it says nothing; for paths that take several forms. */
    bodyType: string;
  }
}

/** The error form of Servable's own paths. */
export function errorBody(error: StatusError): { error: { message: string; reason: string; code: string; metadata: Readonly<Record<string, string>> } } {
  return { error: { message: error.message, reason: error.reason, code: error.code, metadata: error.metadata } };
}

/**
 * Starts an HTTP server: body limit, gzip and deflate bodies, request ids, spans, and every error as JSON with the status
 * that its reason maps to.
 *
 * @throws StatusError `PORT_IN_USE` naming the variable to set
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, portVariable, bodyBytesMax = BODY_BYTES_MAX } = options;
  const memory = createBodyMemory({ bodyBytesMax, heldBytesMax: options.heldBytesMax ?? HELD_BODIES_MAX * bodyBytesMax });
  const app = fastify({
    requestTimeout: REQUEST_MS_MAX,
    clientErrorHandler: (error, socket) => {
      const { status, label, message } = parserFailure(error.code);
      refuseConnection(socket, status, label, JSON.stringify({ error: message }));
    },
    http: { httpValidation: options.validation ?? "strict" },
    requestIdHeader: "x-request-id",
    genReqId: () => randomUUID(),
    // Idle keep-alive connections must not hold up a shutdown.
    forceCloseConnections: "idle",
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
  });
  app.decorateRequest("bodyType", "");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (request: FastifyRequest, payload: IncomingMessage) => memory.read(request, payload));
  app.addHook("preParsing", async (request, reply, payload) => {
    memory.open(request, reply);
    // Only the paths say what a body is; a content type that is none must not keep a body from being read.
    request.bodyType = request.headers["content-type"] ?? "";
    delete request.headers["content-type"];
    const encoding = request.headers["content-encoding"];
    if (encoding === undefined || encoding === "identity") return payload;
    const decoder = encoding === "gzip" ? createGunzip() : encoding === "deflate" ? createInflate() : undefined;
    if (decoder === undefined) throw new StatusError("FIELD_INVALID", `content-encoding "${encoding}" is not served: use gzip or deflate`);
    // The length on the wire is not that of the body: only the limit counts.
    delete request.headers["content-length"];
    request.headers["transfer-encoding"] = "chunked";
    payload.on("error", (error) => decoder.destroy(error));
    // Whoever reads the decoder listens too; when nobody does, an error without a listener would end this process.
    decoder.on("error", () => payload.unpipe(decoder).resume());
    // A body that was refused on the way (a zip bomb at the limit) is not decompressed to its end.
    reply.raw.once("finish", () => decoder.destroy());
    return payload.pipe(decoder);
  });
  app.addHook("onRequest", (request, reply, done) => {
    // Of two lengths the chunks' own is right (RFC 9112, section 6.3); a strict server never gets here with both.
    if (request.headers["transfer-encoding"] !== undefined) delete request.headers["content-length"];
    const tracer = trace.getTracer("@servable/http");
    const parent = propagation.extract(context.active(), request.headers);
    request.span = tracer.startSpan(`HTTP ${request.method}`, { kind: SpanKind.SERVER, attributes: { "http.request.method": request.method, "url.path": request.url.split("?")[0] ?? "" } }, parent);
    void reply.header("x-request-id", request.id);
    context.with(trace.setSpan(parent, request.span), done);
  });
  app.addHook("onResponse", async (request, reply) => {
    request.span.setAttribute("http.response.status_code", reply.statusCode);
    if (request.routeOptions.url !== undefined) request.span.updateName(`HTTP ${request.method} ${request.routeOptions.url}`);
    if (reply.statusCode >= 500) request.span.setStatus({ code: SpanStatusCode.ERROR });
    request.span.end();
    options.onRequestEnd?.(request, reply);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    // fastify would cut the connection of a caller who is still sending a body that was refused, and the answer would be lost
    // in the reset. The rest of the body is read and forgotten instead.
    if (reply.statusCode >= 400) reply.removeHeader("connection");
    if (typeof payload !== "string" && !(payload instanceof Uint8Array)) return payload;
    memory.answer(request, payload.length);
    // A caller who does not read must not keep the answer here for ever.
    reply.raw.setTimeout(ANSWER_STALL_MS_MAX, () => reply.raw.destroy());
    return payload;
  });
  app.setErrorHandler((error, request, reply) => {
    const failure = fromHttpError(error);
    if (failure.reason === "INTERNAL") options.logger?.error({ event: "request_failed", url: request.url, request_id: request.id, err: failure.cause ?? error });
    const body = (options.errorBody ?? errorBody)(failure, request);
    if (failure.code === "UNAUTHENTICATED") void reply.header("www-authenticate", "Bearer");
    void reply.code(httpStatusOf(failure)).type("application/json").send(JSON.stringify(body));
  });
  app.setNotFoundHandler((request) => {
    throw new StatusError("ROUTE_UNKNOWN", `there is nothing at ${request.method} ${request.url.split("?")[0] ?? ""}: see the README for the paths`);
  });
  options.routes(app);
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") {
      throw new StatusError("PORT_IN_USE", `${host}:${port} is in use: stop what listens there or set ${portVariable} to another port`, { metadata: { variable: portVariable }, cause: error });
    }
    throw error;
  }
  const bound = app.addresses().find((each) => typeof each === "object");
  return { address: `${host}:${bound?.port ?? port}`, [Symbol.asyncDispose]: () => app.close() };
}

function fromHttpError(error: unknown): StatusError {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (error instanceof StatusError) return error;
  if (code === "Z_DATA_ERROR" || code === "Z_BUF_ERROR") return new StatusError("MESSAGE_MALFORMED", "the compressed body cannot be read: check content-encoding", { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500 && error instanceof Error) return new StatusError("MESSAGE_MALFORMED", error.message, { cause: error });
  return StatusError.from(error);
}

/** The JSON value of a body; an empty body is undefined. @throws StatusError `JSON_MALFORMED` */
export function parseJson(body: Uint8Array | undefined): unknown {
  if (body === undefined || body.length === 0) return undefined;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StatusError("JSON_MALFORMED", `the body is no valid JSON: ${(error as Error).message}`, { cause: error });
  }
}
