// One request may bring 64 MiB, and nothing stops a thousand callers from bringing them at once, or from never reading their
// answers. So the bytes of all bodies that wait somewhere, coming in or going out, are counted together; beyond a bound new
// bodies are refused, and what is under way goes on.

import { StatusError } from "@servable/errors";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";

/** The bodies that a server holds at this moment. */
export interface BodyMemory {
  /** Counts what the request brings and gets, until its answer has left or the connection is gone. */
  open(request: FastifyRequest, reply: FastifyReply): void;
  /**
   * Reads a body to its end.
   *
   * @throws StatusError `MESSAGE_TOO_LARGE` as soon as it is longer than `bodyBytesMax`, `QUEUE_FULL` when no more fits
   */
  read(request: FastifyRequest, payload: Readable): Promise<Buffer>;
  /** Counts an answer that is about to be sent. */
  answer(request: FastifyRequest, bytes: number): void;
}

/** Counts bodies up to `heldBytesMax` in all, and up to `bodyBytesMax` each. */
export function createBodyMemory({ bodyBytesMax, heldBytesMax }: { bodyBytesMax: number; heldBytesMax: number }): BodyMemory {
  let heldBytes = 0;
  const heldBy = new WeakMap<FastifyRequest, { bytes: number }>();
  const hold = (request: FastifyRequest, bytes: number): void => {
    const held = heldBy.get(request);
    if (held === undefined) return;
    heldBytes += bytes;
    held.bytes += bytes;
  };
  return {
    open(request, reply) {
      const held = { bytes: 0 };
      heldBy.set(request, held);
      reply.raw.once("close", () => {
        heldBytes -= held.bytes;
        heldBy.delete(request);
      });
    },
    async read(request, payload) {
      const stated = Number(request.headers["content-length"] ?? 0);
      if (stated > bodyBytesMax) throw tooLarge(bodyBytesMax);
      return new Promise((resolve, reject) => {
        const parts: Buffer[] = [];
        let length = 0;
        const fail = (error: Error): void => {
          payload.off("data", onData);
          reject(error);
        };
        const onData = (part: Buffer): void => {
          length += part.length;
          if (length > bodyBytesMax) return fail(tooLarge(bodyBytesMax));
          if (heldBytes + part.length > heldBytesMax) {
            return fail(new StatusError("QUEUE_FULL", `requests in flight hold ${heldBytes} bytes of bodies, at most ${heldBytesMax} are kept: call again shortly`, { code: "UNAVAILABLE" }));
          }
          hold(request, part.length);
          parts.push(part);
        };
        payload.on("data", onData);
        payload.once("error", fail);
        payload.once("end", () => {
          if (stated > 0 && length !== stated) fail(new StatusError("MESSAGE_MALFORMED", `the body has ${length} bytes, content-length says ${stated}`));
          else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length));
        });
        payload.once("close", () => {
          // Every body closes; an exception with its stack is made for those that broke off.
          if (!payload.readableEnded) fail(new DOMException("the caller went away before the body was complete", "AbortError"));
        });
      });
    },
    answer: hold,
  };
}

function tooLarge(bodyBytesMax: number): StatusError {
  return new StatusError("MESSAGE_TOO_LARGE", `request JSON size, tensors included, exceeds the maximum allowed input size. At most ${bodyBytesMax} bytes are taken: send less`);
}
