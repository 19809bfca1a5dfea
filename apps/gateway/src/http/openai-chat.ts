import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Answer, Conversation } from "../domain/openai-chat.ts";
import type { GeneratedPiece, GenerationEnd } from "../domain/text-generator.ts";
import { callerOfRequest, jsonBodyOf, route } from "./http-caller.ts";
import { openAiErrorBody } from "./openai.ts";

/** The two forms of an answer. */
type Form = "chat" | "text";

/** Registers `POST /v1/chat/completions` and `POST /v1/completions`, streamed and whole. */
export function openAiChatRoutes(app: FastifyInstance, conversation: Conversation): void {
  route(app, "POST", "/v1/chat/completions", async (request, reply) => send(reply, "chat", conversation.chat(jsonBodyOf(request), callerOfRequest(request, reply))));
  route(app, "POST", "/v1/completions", async (request, reply) => send(reply, "text", conversation.complete(jsonBodyOf(request), callerOfRequest(request, reply))));
}

async function send(reply: FastifyReply, form: Form, answer: Answer): Promise<unknown> {
  const head = { id: `${form === "chat" ? "chatcmpl" : "cmpl"}-${randomBytes(12).toString("hex")}`, created: Math.floor(Date.now() / 1_000), model: answer.model, system_fingerprint: null };
  if (!answer.stream) return whole(form, head, answer);
  // The status goes out with the first piece, so that one is waited for.
  const first = await answer.pieces.next();
  void reply.type("text/event-stream; charset=utf-8").header("cache-control", "no-store");
  return reply.send(Readable.from(events(form, head, answer, first)));
}

async function whole(form: Form, head: object, { pieces, logprobs }: Answer): Promise<unknown> {
  const said: GeneratedPiece[] = [];
  let next = await pieces.next();
  for (; next.done !== true; next = await pieces.next()) said.push(next.value);
  const text = said.map((piece) => piece.text).join("");
  const shown = logprobs === undefined ? null : logprobsOf(form, said, logprobs);
  const choice = { index: 0, logprobs: shown, finish_reason: next.value.finishReason };
  return form === "chat"
    ? { ...head, object: "chat.completion", choices: [{ ...choice, message: { role: "assistant", content: text, refusal: null } }], usage: usageOf(next.value) }
    : { ...head, object: "text_completion", choices: [{ ...choice, text }], usage: usageOf(next.value) };
}

async function* events(form: Form, head: object, { pieces, logprobs, includeUsage }: Answer, first: IteratorResult<GeneratedPiece, GenerationEnd>): AsyncGenerator<string> {
  const object = form === "chat" ? "chat.completion.chunk" : "text_completion";
  const chunk = (choices: unknown[], usage: unknown = null): string => `data: ${JSON.stringify({ ...head, object, choices, ...(includeUsage ? { usage } : {}) })}\n\n`;
  const choice = (delta: object, text: string, finishReason: string | null, shown: unknown = null): unknown => (form === "chat" ? { index: 0, delta, logprobs: shown, finish_reason: finishReason } : { index: 0, text, logprobs: shown, finish_reason: finishReason });
  try {
    if (form === "chat") yield chunk([choice({ role: "assistant", content: "" }, "", null)]);
    let next = first;
    for (; next.done !== true; next = await pieces.next()) {
      if (next.value.text === "" && logprobs === undefined) continue;
      yield chunk([choice({ content: next.value.text }, next.value.text, null, logprobs === undefined ? null : logprobsOf(form, [next.value], logprobs))]);
    }
    yield chunk([choice({}, "", next.value.finishReason)]);
    if (includeUsage) yield chunk([], usageOf(next.value));
  } catch (error) {
    // The status is long sent: the error is the last event.
    yield `data: ${JSON.stringify(openAiErrorBody(StatusError.from(error)))}\n\n`;
  } finally {
    await pieces.return({ finishReason: "stop", promptTokens: 0, completionTokens: 0 });
  }
  yield "data: [DONE]\n\n";
}

function logprobsOf(form: Form, said: readonly GeneratedPiece[], count: number): unknown {
  const pieces = said.filter(({ token }) => token !== "");
  const bytesOf = (token: string): number[] => [...Buffer.from(token)];
  if (form === "chat") return { content: pieces.map(({ token, logprob, top }) => ({ token, logprob, bytes: bytesOf(token), top_logprobs: top.slice(0, count).map((each) => ({ ...each, bytes: bytesOf(each.token) })) })), refusal: null };
  return { tokens: pieces.map(({ token }) => token), token_logprobs: pieces.map(({ logprob }) => logprob), top_logprobs: pieces.map(({ top }) => Object.fromEntries(top.slice(0, count).map(({ token, logprob }) => [token, logprob]))), text_offset: pieces.map((_, index) => pieces.slice(0, index).reduce((sum, { text }) => sum + text.length, 0)) };
}

function usageOf({ promptTokens, completionTokens }: GenerationEnd): object {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
}
