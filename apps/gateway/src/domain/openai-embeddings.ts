// OpenAI's embeddings call over the task EmbedText. Source: shared reference of the API, section 5; both SDKs ask for
// base64 unless their caller chose otherwise, and decode it as little-endian float32.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EmbedTextRequestSchema, EmbedTextResponseSchema } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import { shortestSingle } from "./json-text.ts";
import type { TaskCalls } from "./task-calls.ts";

/** Inputs of one call, as OpenAI has it. */
const INPUTS_MAX = 2_048;

/** Answers `POST /v1/embeddings` with JSON text. @throws StatusError naming the field as OpenAI's API calls it */
export async function createEmbeddings(call: TaskCalls, body: Readonly<Record<string, unknown>>, caller: Caller): Promise<string> {
  const { model, input, dimensions, encoding_format: format = "float" } = body;
  if (typeof model !== "string" || model === "") throw new StatusError("FIELD_REQUIRED", "you must provide a model parameter", { metadata: { field: "model" } });
  if (format !== "float" && format !== "base64") throw refuse("encoding_format", `must be "float" or "base64"`);
  if (dimensions !== undefined && dimensions !== null && !(typeof dimensions === "number" && Number.isInteger(dimensions) && dimensions >= 1 && dimensions < 2 ** 31)) throw refuse("dimensions", "must be a whole number from 1 on");
  const request = create(EmbedTextRequestSchema, { model, ...inputsOf(input), dimensionCount: typeof dimensions === "number" ? dimensions : 0 });
  const bytes = await call("EmbedText", toBinary(EmbedTextRequestSchema, request), caller).catch((error: unknown) => {
    throw inWordsOfTheApi(error);
  });
  const { embeddings } = fromBinary(EmbedTextResponseSchema, bytes);
  const cut = embeddings.findIndex(({ truncated }) => truncated);
  // Who asks for the vector of a whole text must not get that of its beginning.
  if (cut !== -1) throw new StatusError("CONTEXT_TOO_LONG", `input[${cut}] is longer than the ${embeddings[cut]?.tokenCount ?? 0} tokens that ${model} reads: send it in parts`, { metadata: { field: "input" } });
  const data = embeddings.map(({ values }, index) => `{"object":"embedding","index":${index},"embedding":${format === "base64" ? JSON.stringify(base64Of(values)) : `[${values.map(shortestSingle).join(",")}]`}}`);
  const tokens = embeddings.reduce((sum, { tokenCount }) => sum + tokenCount, 0);
  return `{"object":"list","data":[${data.join(",")}],"model":${JSON.stringify(model)},"usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}}`;
}

/** A text, texts, tokens, or lists of tokens. */
function inputsOf(input: unknown): { texts: string[] } | { tokenIds: { ids: bigint[] }[] } {
  if (input === undefined || input === null) throw new StatusError("FIELD_REQUIRED", "you must provide an input parameter", { metadata: { field: "input" } });
  const list: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (list.length === 0) throw refuse("input", "cannot be an empty list");
  if (typeof list[0] === "number") return { tokenIds: [{ ids: tokensOf(list, "input") }] };
  if (list.length > INPUTS_MAX) throw refuse("input", `has ${list.length} elements, at most ${INPUTS_MAX} are taken`);
  if (Array.isArray(list[0])) return { tokenIds: list.map((tokens, index) => ({ ids: tokensOf(tokens, `input[${index}]`) })) };
  return {
    texts: list.map((text, index) => {
      const where = Array.isArray(input) ? `input[${index}]` : "input";
      if (typeof text !== "string") throw refuse("input", `must be a text, a list of texts, a list of tokens or a list of such lists: ${where} is ${text === null ? "null" : typeof text}`);
      if (text === "") throw refuse("input", `cannot be an empty text (${where})`);
      return text;
    }),
  };
}

function tokensOf(tokens: unknown, where: string): bigint[] {
  if (Array.isArray(tokens) && tokens.length > 0 && tokens.every((token) => typeof token === "number" && Number.isSafeInteger(token) && token >= 0)) return tokens.map((token: number) => BigInt(token));
  throw refuse("input", `must hold tokens, whole numbers from 0 on, at least one (${where})`);
}

/** Fields have other names behind the gateway. */
function inWordsOfTheApi(error: unknown): unknown {
  if (!(error instanceof StatusError)) return error;
  const field = error.metadata["field"] ?? "";
  if (field === "dimension_count") return new StatusError("FIELD_INVALID", error.message.replace("dimension_count", "dimensions"), { metadata: { field: "dimensions" }, cause: error });
  if (/^(token_ids|texts?)/.test(field)) return new StatusError(error.reason, error.message.replace(/token_ids|texts?(?=\[| )/, "input"), { metadata: { field: "input" }, cause: error });
  return error;
}

function base64Of(values: readonly number[]): string {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString("base64");
}

function refuse(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
