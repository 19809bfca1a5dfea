import { promisify } from "node:util";
import { constants, deflate, gzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";

const CODERS = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
/** Below it the headers outweigh what is saved. */
const COMPRESS_BYTES_MIN = 1024;

/** Sends a body as gzip or deflate where the caller takes them and it is large enough. */
export async function sendCompressed(request: FastifyRequest, reply: FastifyReply, body: Buffer): Promise<FastifyReply> {
  const accepted = String(request.headers["accept-encoding"] ?? "").split(",").map((word) => word.split(";")[0]?.trim());
  const encoding = (["gzip", "deflate"] as const).find((name) => accepted.includes(name));
  if (encoding === undefined || body.length < COMPRESS_BYTES_MIN) return reply.send(body);
  const packed = await CODERS[encoding](body, { level: constants.Z_BEST_SPEED });
  return reply.header("content-encoding", encoding).header("vary", "accept-encoding").send(packed);
}
