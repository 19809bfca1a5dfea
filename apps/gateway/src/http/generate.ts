import { Readable } from "node:stream";
import { StatusError, httpStatusOf, type Reason } from "@servable/errors";
import type { FastifyInstance } from "fastify";
import type { Generate } from "../domain/generate.ts";
import { sendCompressed } from "./compression.ts";
import { bodyOf, callerOfRequest, referenceOf, route } from "./http-caller.ts";

/** What went wrong while the model ran is said as an event, everything before that as a plain error. */
const RUN_FAILURES: ReadonlySet<Reason> = new Set(["INFERENCE_FAILED", "ENGINE_CRASHED", "ENGINE_TIMEOUT"]);

/** Registers `…/generate` and `…/generate_stream`. */
export function generateRoutes(app: FastifyInstance, generate: Generate): void {
  for (const prefix of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    route(app, "POST", `${prefix}/generate`, async (request, reply) => {
      const text = await generate.once(referenceOf(request), bodyOf(request), callerOfRequest(request, reply));
      return sendCompressed(request, reply.type("application/json"), Buffer.from(text));
    });

    route(app, "POST", `${prefix}/generate_stream`, async (request, reply) => {
      const answers = generate.stream(referenceOf(request), bodyOf(request), callerOfRequest(request, reply));
      // The status goes out with the first event, so that one is waited for.
      const first = await answers.next().catch((error: unknown) => {
        const failure = StatusError.from(error);
        if (!RUN_FAILURES.has(failure.reason)) throw failure;
        return failure;
      });
      void reply.type("text/event-stream; charset=utf-8").header("cache-control", "no-store");
      if (first instanceof StatusError) return reply.code(httpStatusOf(first)).send(eventOf(errorJson(first)));
      return reply.send(Readable.from(events(first, answers)));
    });
  }
}

async function* events(first: IteratorResult<string>, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  try {
    if (first.done !== true) yield eventOf(first.value);
    for await (const answer of rest) yield eventOf(answer);
  } catch (error) {
    // The status is long sent: the error is the last event.
    yield eventOf(errorJson(StatusError.from(error)));
  } finally {
    await rest.return(undefined);
  }
}

function eventOf(json: string): string {
  return `data: ${json}\n\n`;
}

function errorJson({ message }: StatusError): string {
  return JSON.stringify({ error: message });
}
