import { StatusError } from "@servable/errors";
import type { EmbeddingSection } from "@servable/preprocessing";
import type { Tokenizer } from "@servable/tokenizers";
import type { InferContext } from "../executors/executor.ts";
import { checkTextCount } from "./request-fields.ts";
import { numbersOf, pickTensor } from "./run-model.ts";
import { runTexts, tokensMaxOf, type TextGroup, type TokenizedText } from "./run-texts.ts";
import { tokenize } from "./steps.ts";
import { taskFilesOf } from "./task-files.ts";
import type { TaskModel } from "./task-model.ts";

/** The vector of one text. */
export interface Embedding {
  readonly values: Float32Array;
  readonly tokenCount: number;
  readonly truncated: boolean;
}

/** Texts, or texts that the caller has tokenised. */
export interface TextsToEmbed {
  readonly texts: readonly string[];
  readonly tokenIds: readonly (readonly bigint[])[];
  /** 0 = all. */
  readonly dimensionCount: number;
}

/** Outputs that are taken where the manifest names none, the ready-made vector first. */
const USUAL_OUTPUTS = ["sentence_embedding", "embeddings", "pooler_output", "last_hidden_state", "token_embeddings"];

/** Turns texts into vectors. @throws StatusError `TASK_NOT_DECLARED`, `FIELD_INVALID` and what the model raises */
export async function embedText(model: TaskModel, { texts, tokenIds, dimensionCount }: TextsToEmbed, context: InferContext): Promise<Embedding[]> {
  if (texts.length > 0 && tokenIds.length > 0) throw new StatusError("FIELD_INVALID", "texts and token_ids exclude each other: send one of them", { metadata: { field: "token_ids" } });
  checkTextCount(texts.length + tokenIds.length, tokenIds.length > 0 ? "token_ids" : "texts");
  const files = await taskFilesOf(model, "text-embedding");
  const { tokenizer: section, embedding } = files.manifest;
  if (section === undefined || embedding === undefined) throw new TypeError("a manifest of text-embedding has both sections");
  const tokenizer = await files.tokenizer();
  const tokensMax = tokensMaxOf(model, section, tokenizer);
  const encoded = tokenIds.length > 0 ? tokenIds.map((ids, index) => fromIds(ids, index, tokenizer, tokensMax)) : await tokenize(tokenizer, texts.map((text) => section.prefix + text), { tokensMax, specialTokens: section.specialTokens });
  const output = pickTensor(model, "outputs", embedding.output, "embedding.output", USUAL_OUTPUTS);
  const results = new Array<Embedding>(encoded.length);
  for (const group of await runTexts(model, encoded, { section, padId: tokenizer.padId, outputs: [output.name] }, context)) {
    vectorsOf(group, output.name, embedding, dimensionCount).forEach((values, row) => {
      const index = group.indices[row] as number;
      results[index] = { values, tokenCount: encoded[index]?.ids.length ?? 0, truncated: encoded[index]?.truncated ?? false };
    });
  }
  return results;
}

function fromIds(ids: readonly bigint[], index: number, { vocabularySize }: Tokenizer, tokensMax: number): TokenizedText {
  const field = `token_ids[${index}]`;
  const refuse = (what: string): StatusError => new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
  if (ids.length === 0) throw refuse("is empty: send at least one token");
  if (ids.length > tokensMax) throw refuse(`has ${ids.length} tokens, the model reads at most ${tokensMax}`);
  const stray = ids.find((id) => id < 0n || id >= BigInt(vocabularySize));
  if (stray !== undefined) throw refuse(`holds ${stray}, but the vocabulary ends at ${vocabularySize - 1}`);
  return { ids: ids.map(Number), typeIds: [], truncated: false };
}

/** One vector a text out of the output of a group: [texts, size], or [texts, tokens, size] that is pooled. */
function vectorsOf({ texts, width, outputs }: TextGroup, name: string, { pooling, normalize }: EmbeddingSection, dimensionCount: number): Float32Array[] {
  const { shape, values } = numbersOf(outputs, name);
  const size = shape.at(-1) ?? 0;
  const perToken = shape.length === 3;
  const kind = pooling ?? (perToken ? "mean" : "none");
  if (perToken === (kind === "none")) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: embedding.pooling is ${kind}, which does not fit the output "${name}" of ${shape.length} dimensions`, { metadata: { field: "embedding.pooling" } });
  if (dimensionCount < 0 || dimensionCount > size) throw new StatusError("FIELD_INVALID", `dimension_count is ${dimensionCount}: the model gives ${size}`, { metadata: { field: "dimension_count" } });
  return texts.map(({ ids }, row) => {
    const vector = perToken ? pool(values.subarray(row * width * size, (row + 1) * width * size), ids.length, size, kind as "mean" | "cls" | "last") : values.slice(row * size, (row + 1) * size);
    const kept = dimensionCount > 0 ? vector.subarray(0, dimensionCount) : vector;
    return normalize ? toLengthOne(kept) : kept;
  });
}

/** states: [tokens, size]; padding beyond `tokenCount` does not count. */
function pool(states: Float32Array, tokenCount: number, size: number, kind: "mean" | "cls" | "last"): Float32Array {
  if (kind === "cls") return states.slice(0, size);
  if (kind === "last") return states.slice((tokenCount - 1) * size, tokenCount * size);
  const sums = new Float64Array(size);
  for (let at = 0; at < tokenCount * size; at++) sums[at % size] = (sums[at % size] as number) + (states[at] as number);
  return Float32Array.from(sums, (sum) => sum / tokenCount);
}

function toLengthOne(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}
