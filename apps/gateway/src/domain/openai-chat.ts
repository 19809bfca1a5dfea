// Conversations and completions as OpenAI has them. A model that classifies texts answers with its label, one that
// generates with its text; the caller need not know which it is.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ClassifyTextRequestSchema, ClassifyTextResponseSchema } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import { flagOf, numberOf, objectIn, refuse, requiredText, type Body } from "./openai-fields.ts";
import { deploymentOf } from "./openai-names.ts";
import type { TaskCalls } from "./task-calls.ts";
import type { GeneratedPiece, GenerationEnd, TextGenerator } from "./text-generator.ts";

/** What stands before a turn, as the models that are fine-tuned here learn it. */
const TURNS: Readonly<Record<string, string>> = { system: "System", developer: "System", user: "User", assistant: "Assistant", tool: "Tool" };
const MESSAGES_MAX = 2_048;
const STOPS_MAX = 4;
const TOP_LOGPROBS_MAX = 20;
const LABELS_SHOWN = 20;

/** An answer while it comes: pieces, then how it ended. */
export interface Answer {
  /** As the caller named it. */
  readonly model: string;
  readonly pieces: AsyncGenerator<GeneratedPiece, GenerationEnd>;
  /** How many alternatives of each token are shown; undefined = no logarithms at all. */
  readonly logprobs: number | undefined;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Answers what OpenAI's clients ask. */
export interface Conversation {
  /** `POST /v1/chat/completions`. @throws StatusError naming the parameter */
  chat(body: Body, caller: Caller): Answer;
  /** `POST /v1/completions`. @throws StatusError naming the parameter */
  complete(body: Body, caller: Caller): Answer;
}

/** Conversations over tasks and a generator. */
export function createConversation(call: TaskCalls, generator: TextGenerator): Conversation {
  return {
    chat(body, caller) {
      const messages = messagesOf(body);
      const logprobs = flagOf(body, "logprobs") ? (numberOf(body, "top_logprobs", { min: 0, max: TOP_LOGPROBS_MAX, whole: true }) ?? 0) : undefined;
      const asked = messages.filter(({ role }) => role === "user").map(({ content }) => content.trim()).join("\n");
      const prompt = `${messages.map(({ role, content }) => `${TURNS[role] ?? "User"}: ${content}\n`).join("")}Assistant: `;
      return { ...commonOf(body), logprobs, pieces: answered({ body, asked, prompt, tokensField: body["max_completion_tokens"] === undefined ? "max_tokens" : "max_completion_tokens" }, caller) };
    },
    complete(body, caller) {
      const prompt = promptOf(body);
      const logprobs = numberOf(body, "logprobs", { min: 0, max: 5, whole: true });
      return { ...commonOf(body), logprobs, pieces: answered({ body, asked: prompt, prompt, tokensField: "max_tokens" }, caller) };
    },
  };

  /** The label of a classifier; else what the generator says. */
  async function* answered({ body, asked, prompt, tokensField }: { readonly body: Body; readonly asked: string; readonly prompt: string; readonly tokensField: string }, caller: Caller): AsyncGenerator<GeneratedPiece, GenerationEnd> {
    const model = deploymentOf(requiredText(body, "model"));
    const request = { model, prompt, tokensMax: numberOf(body, tokensField, { min: 1, max: 1_000_000, whole: true }), stop: stopsOf(body), temperature: numberOf(body, "temperature", { min: 0, max: 2 }) ?? 1, topP: numberOf(body, "top_p", { min: 0, max: 1 }) ?? 1, seed: seedOf(body) };
    try {
      return yield* labelled(await call("ClassifyText", toBinary(ClassifyTextRequestSchema, create(ClassifyTextRequestSchema, { model, texts: [asked], topK: LABELS_SHOWN })), caller));
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "TASK_NOT_DECLARED") throw inWordsOfTheApi(error, body);
    }
    return yield* generator.generate(request, caller);
  }
}

async function* labelled(bytes: Uint8Array): AsyncGenerator<GeneratedPiece, GenerationEnd> {
  const [result] = fromBinary(ClassifyTextResponseSchema, bytes).results;
  const top = (result?.labels ?? []).map(({ label, probability }) => ({ token: label, logprob: Math.log(Math.max(probability, Number.MIN_VALUE)) }));
  const [best] = top;
  if (best === undefined) throw new StatusError("INFERENCE_FAILED", "the model answered no label");
  yield await Promise.resolve({ text: best.token, token: best.token, logprob: best.logprob, top });
  return { finishReason: "stop", promptTokens: result?.tokenCount ?? 0, completionTokens: 1 };
}

function commonOf(body: Body): Pick<Answer, "model" | "stream" | "includeUsage"> {
  const n = numberOf(body, "n", { min: 1, max: 128, whole: true }) ?? 1;
  if (n !== 1) throw refuse("n", "must be 1: one answer is given at a time");
  for (const field of ["tools", "functions"]) if (Array.isArray(body[field]) && body[field].length > 0) throw refuse(field, "are not served by these models: leave them out");
  return { model: requiredText(body, "model"), stream: flagOf(body, "stream"), includeUsage: flagOf(objectIn(body, "stream_options"), "include_usage") };
}

function messagesOf(body: Body): { role: string; content: string }[] {
  const { messages } = body;
  if (!Array.isArray(messages) || messages.length === 0 || messages.length > MESSAGES_MAX) throw refuse("messages", `must be a list of 1 to ${MESSAGES_MAX} messages`);
  return (messages as unknown[]).map((message, index) => {
    const where = `messages[${index}]`;
    if (typeof message !== "object" || message === null) throw refuse(where, "must be an object");
    const { role, content } = message as Record<string, unknown>;
    if (typeof role !== "string" || !(role in TURNS)) throw refuse(`${where}.role`, `must be one of ${Object.keys(TURNS).join(", ")}`);
    return { role, content: contentOf(content, `${where}.content`) };
  });
}

/** A text, or parts that are texts. */
function contentOf(content: unknown, where: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw refuse(where, "must be a text or a list of text parts");
  return (content as unknown[]).map((part, index) => {
    const { type, text } = (part ?? {}) as Record<string, unknown>;
    if (type !== "text" || typeof text !== "string") throw refuse(`${where}[${index}]`, "must be a part of the type text: these models read nothing else");
    return text;
  }).join("");
}

function promptOf(body: Body): string {
  const prompt: unknown = Array.isArray(body["prompt"]) && body["prompt"].length === 1 ? body["prompt"][0] : body["prompt"];
  if (typeof prompt !== "string" || prompt === "") throw refuse("prompt", "must be one text that is not empty");
  return prompt;
}

function stopsOf(body: Body): string[] {
  const value = body["stop"] ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > STOPS_MAX || list.some((text) => typeof text !== "string" || text === "")) throw refuse("stop", `must be a text, or up to ${STOPS_MAX} texts`);
  return list as string[];
}

function seedOf(body: Body): number | undefined {
  const seed = body["seed"];
  if (seed === undefined || seed === null) return undefined;
  if (typeof seed !== "number" && typeof seed !== "bigint") throw refuse("seed", "must be a whole number");
  return Number(BigInt.asIntN(32, BigInt(Math.trunc(Number(seed)))));
}

/** Deployments have other names than callers say. */
function inWordsOfTheApi(error: unknown, body: Body): unknown {
  if (!(error instanceof StatusError) || error.reason !== "MODEL_NOT_FOUND") return error;
  const model = requiredText(body, "model");
  return new StatusError("MODEL_NOT_FOUND", `The model \`${model}\` does not exist or you do not have access to it.`, { metadata: { model }, cause: error });
}
