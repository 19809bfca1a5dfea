import type { FastifyInstance } from "fastify";
import type { Explain } from "../domain/explain.ts";
import { sendCompressed } from "./compression.ts";
import { bodyOf, callerOfRequest, route } from "./http-caller.ts";

/** Registers `POST /v1/explain`. */
export function explainRoutes(app: FastifyInstance, explain: Explain): void {
  route(app, "POST", "/v1/explain", async (request, reply) => {
    const text = await explain.json(bodyOf(request), callerOfRequest(request, reply));
    return sendCompressed(request, reply.type("application/json"), Buffer.from(text));
  });
}
