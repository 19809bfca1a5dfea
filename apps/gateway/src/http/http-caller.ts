import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { CallCancellation } from "@servable/grpc";
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteHandlerMethod } from "fastify";
import { secretOf, type Authenticator } from "../domain/authenticator.ts";
import type { Caller } from "../domain/caller.ts";
import { objectOf } from "../domain/infer-json.ts";
import { parseLossless } from "../domain/json-text.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The verified caller; undefined on open paths. */
    identity: Identity | undefined;
  }
}

/** Verifies the key of a call. */
export type Verify = (secret: string | undefined) => Identity | Promise<Identity>;

/** How keys are verified: by the authenticator, or not at all. */
export function verifierOf(authenticator: Authenticator, openIdentity: Identity | undefined): Verify {
  return openIdentity === undefined ? (secret) => authenticator.authenticate(secret) : () => openIdentity;
}

/** Verifies each request before its body is read. */
export function addAuthentication(app: FastifyInstance, verify: Verify, openPaths: ReadonlySet<string>): void {
  app.decorateRequest("identity", undefined);
  app.addHook("onRequest", async (request) => {
    if (openPaths.has(request.routeOptions.url ?? "")) return;
    request.identity = await verify(
      secretOf((name) => {
        const value = request.headers[name];
        return Array.isArray(value) ? value[0] : value;
      }),
    );
  });
}

/** The caller of a request; its signal aborts when the connection closes before the answer. */
export function callerOfRequest(request: FastifyRequest, reply: FastifyReply): Caller {
  if (request.identity === undefined) throw new TypeError(`${request.url} is open and has no caller`);
  const cancellation = new CallCancellation();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) cancellation.abort(new DOMException("the caller went away", "AbortError"));
  });
  return {
    identity: request.identity,
    requestId: request.id,
    cancellation,
    deadline: undefined,
    get signal() {
      return cancellation.signal;
    },
  };
}

/** Model and version out of the path. */
export function referenceOf(request: FastifyRequest): { model: string; version: string } {
  const { model = "", version = "" } = request.params as { model?: string; version?: string };
  return { model, version };
}

/** The body's bytes; empty when there is none. */
export function bodyOf(request: FastifyRequest): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array();
}

/** The body as a JSON object. Stock clients send no body at all where there is nothing to say. */
export function jsonBodyOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const body = bodyOf(request);
  return body.length === 0 ? {} : objectOf(parseLossless(body), "the body");
}

/** Answers JSON text. */
export function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply.type("application/json").send(text);
}

const METHODS: readonly HTTPMethods[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** Serves one method at a path; the others answer 405 naming the right one. */
export function route(app: FastifyInstance, method: "GET" | "POST" | "DELETE", url: string, handler: RouteHandlerMethod): void {
  routes(app, url, { [method]: handler });
}

/** Serves several methods at a path; the others answer 405 naming the right ones. */
export function routes(app: FastifyInstance, url: string, handlers: Partial<Record<"GET" | "POST" | "DELETE", RouteHandlerMethod>>): void {
  const served = Object.keys(handlers);
  for (const [method, handler] of Object.entries(handlers)) app.route({ method, url, handler });
  app.route({
    method: METHODS.filter((other) => !served.includes(String(other))),
    url,
    handler: async (_, reply) => {
      void reply.header("allow", served.join(", "));
      throw new StatusError("HTTP_METHOD_WRONG", `use ${served.join(" or ")} here`);
    },
  });
}
