import { httpStatusOf, type StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { objectOf } from "../domain/infer-json.ts";
import { parseLossless } from "../domain/json-text.ts";
import { createEmbeddings } from "../domain/openai-embeddings.ts";
import type { TaskCalls } from "../domain/task-calls.ts";
import { sendCompressed } from "./compression.ts";
import { bodyOf, callerOfRequest, route } from "./http-caller.ts";

/** Registers `POST /v1/embeddings` as OpenAI's SDKs call it. */
export function openAiRoutes(app: FastifyInstance, call: TaskCalls): void {
  route(app, "POST", "/v1/embeddings", async (request, reply) => {
    const text = await createEmbeddings(call, objectOf(parseLossless(bodyOf(request)), "the body"), callerOfRequest(request, reply));
    void reply.type("application/json").header("openai-processing-ms", String(Math.round(reply.elapsedTime)));
    return sendCompressed(request, reply, Buffer.from(text));
  });
}

/** Whether a path is one of OpenAI's: their clients read their own form of errors. */
export function isOpenAiPath({ url }: Pick<FastifyRequest, "url">): boolean {
  const [path = ""] = url.split("?");
  return path === "/v1/embeddings" || path === "/v1/completions" || /^\/v1\/(files|fine_tuning|chat)(\/|$)/.test(path) || (/^\/v1\/models(\/|$)/.test(path) && !path.includes(":predict"));
}

const CODES: Readonly<Record<string, string>> = {
  API_KEY_MISSING: "invalid_api_key",
  API_KEY_INVALID: "invalid_api_key",
  MODEL_NOT_FOUND: "model_not_found",
  CONTEXT_TOO_LONG: "context_length_exceeded",
  QUEUE_FULL: "rate_limit_exceeded",
  FILE_NOT_FOUND: "file_not_found",
  FINE_TUNING_JOB_NOT_FOUND: "fine_tune_not_found",
};

/** The error form of OpenAI's API, with our reason beside it. */
export function openAiErrorBody(error: StatusError): { error: { message: string; type: string; param: string | null; code: string | null; reason: string; metadata: Readonly<Record<string, string>> } } {
  const status = httpStatusOf(error);
  const type = status === 429 ? "rate_limit_error" : status >= 500 ? "server_error" : status === 403 ? "permission_error" : "invalid_request_error";
  return { error: { message: error.message, type, param: error.metadata["field"] ?? (error.reason === "MODEL_NOT_FOUND" ? "model" : null), code: CODES[error.reason] ?? null, reason: error.reason, metadata: error.metadata } };
}
