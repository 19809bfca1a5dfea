// A thin layer over @huggingface/tokenizers, which turns one text into ids and nothing more: here are batches, truncation
// that keeps special tokens, padding, masks and offsets, and errors that say what is wrong with a tokenizer.json.
//
// Truncation comes before the work, not after it: a text is tokenised only as far as its first `tokensMax` tokens need, so
// that a book costs no more than a page.

import { StatusError } from "@servable/errors";
import { createBertRepair } from "./bert-repair.ts";
import { HuggingFaceTokenizer } from "./hugging-face.ts";
import { offsetsOf } from "./offsets.ts";

/** Longest text taken, in UTF-16 units; longer ones are refused. */
export const TEXT_CHARS_MAX = 1_000_000;
/** Longest vocabulary file taken. */
const JSON_CHARS_MAX = 64 * 1024 * 1024;
/** What a token is long on average at most: the first guess of how much text is needed. */
const CHARS_PER_TOKEN = 16;
/** Tokens beyond the limit that must be there before a cut text counts as long enough: near the cut tokens may differ. */
const SLACK_TOKENS = 32;

/** How texts become ids. */
export interface EncodeOptions {
  /** Tokens of a text at most, special ones included; the rest is cut off. @default no limit */
  readonly tokensMax?: number;
  /** Adds [CLS], [SEP], <s> and the like where the tokenizer has them. @default true */
  readonly specialTokens?: boolean;
  /** Pads to the longest text of the batch, to a fixed number of tokens, or not at all. @default "longest" */
  readonly padding?: "longest" | "none" | number;
  /** Also answers where in the text each token stands. @default false */
  readonly offsets?: boolean;
}

/** One text as tokens, without padding. */
export interface EncodedText {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly typeIds: readonly number[];
  /** True for tokens that no part of the text stands behind. */
  readonly special: readonly boolean[];
  /** Whether tokens were cut off. */
  readonly truncated: boolean;
  /** [start, end) of each token in UTF-16 units of the text; [0, 0] for special tokens. Only where asked for. */
  readonly offsets?: readonly (readonly [start: number, end: number])[];
}

/** A batch as rectangular int64 tensors, row-major. */
export interface EncodedBatch {
  readonly texts: readonly EncodedText[];
  /** Tokens of each row, padding included. */
  readonly width: number;
  /** [texts, width] */
  readonly inputIds: BigInt64Array<ArrayBuffer>;
  /** [texts, width]: 1 = token, 0 = padding */
  readonly attentionMask: BigInt64Array<ArrayBuffer>;
  /** [texts, width] */
  readonly tokenTypeIds: BigInt64Array<ArrayBuffer>;
}

/** Text to ids and back. */
export interface Tokenizer {
  /** @throws StatusError `FIELD_INVALID` for a text that is too long, or longer than a fixed padding */
  encode(texts: readonly string[], options?: EncodeOptions): EncodedBatch;
  /** The text of ids. */
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  readonly padId: number;
  /** Tokens in the vocabulary, added ones included. */
  readonly vocabularySize: number;
  /** The limit that the file itself states, if any. */
  readonly tokensMax: number | undefined;
}

/**
 * A tokenizer of the text of a tokenizer.json.
 *
 * @throws StatusError `TOKENIZER_INVALID` saying what the file lacks
 * @example createTokenizer(readFileSync("tokenizer.json", "utf8")).encode(["hello"], { tokensMax: 128 })
 */
export function createTokenizer(json: string): Tokenizer {
  const file = parse(json);
  let inner: HuggingFaceTokenizer;
  try {
    inner = new HuggingFaceTokenizer(file, {});
  } catch (error) {
    throw new StatusError("TOKENIZER_INVALID", `tokenizer.json cannot be used: ${(error as Error).message.slice(0, 200)}`, { cause: error });
  }
  const repair = createBertRepair(file["normalizer"]);
  const { before, after } = specialTokensOf(inner);
  const padId = padIdOf(file, inner);
  const continuation = continuationPrefixOf(file);
  const added = new Set([...inner.get_added_tokens_decoder().values()].map(({ content }) => content));

  const encodeOne = (text: string, where: string, { tokensMax, specialTokens = true, offsets = false }: EncodeOptions): EncodedText => {
    if (text.length > TEXT_CHARS_MAX) throw new StatusError("FIELD_INVALID", `${where} has ${text.length} characters, more than ${TEXT_CHARS_MAX}: send it in parts`, { metadata: { field: where } });
    const [head, tail] = specialTokens ? [before, after] : [[], []];
    const room = tokensMax === undefined ? undefined : Math.max(0, tokensMax - head.length - tail.length);
    const source = text.toWellFormed();
    const found = tokenize(inner, repair, source, room);
    const kept = room === undefined ? found : found.slice(0, room);
    const tokens = [...head.map(({ token }) => token), ...kept.map(({ token }) => token), ...tail.map(({ token }) => token)];
    const special = [...head.map(() => true), ...kept.map(() => false), ...tail.map(() => true)];
    const spans = offsets ? offsetsOf(source, kept, { normalize: (part) => normalize(inner, part), continuation, unknown: inner.model?.unk_token, added }) : [];
    return {
      ids: [...head.map(({ id }) => id), ...kept.map(({ id }) => id), ...tail.map(({ id }) => id)],
      tokens,
      typeIds: [...head.map(({ typeId }) => typeId), ...kept.map(() => 0), ...tail.map(({ typeId }) => typeId)],
      special,
      truncated: kept.length < found.length,
      ...(offsets && { offsets: [...head.map(() => [0, 0] as const), ...spans, ...tail.map(() => [0, 0] as const)] }),
    };
  };

  return {
    padId,
    vocabularySize: inner.get_vocab(true).size,
    tokensMax: truncationOf(file),
    encode(texts, options = {}) {
      const encoded = texts.map((text, index) => encodeOne(text, texts.length === 1 ? "text" : `texts[${index}]`, options));
      return rectangle(encoded, options.padding ?? "longest", padId);
    },
    decode: (ids, { skipSpecialTokens = true } = {}) => (ids.length === 0 ? "" : inner.decode([...ids], { skip_special_tokens: skipSpecialTokens })),
  };
}

interface FoundToken {
  readonly token: string;
  readonly id: number;
}

/** Tokens of a text without special ones; of a long text at least the first `room` and a few. */
function tokenize(inner: HuggingFaceTokenizer, repair: (text: string) => string, text: string, room: number | undefined): FoundToken[] {
  const wanted = room === undefined ? Infinity : room + SLACK_TOKENS;
  for (let chars = wanted * CHARS_PER_TOKEN; ; chars *= 2) {
    const whole = chars >= text.length;
    const { tokens, ids } = inner.encode(repair(whole ? text : text.slice(0, cutAt(text, chars))), { add_special_tokens: false });
    if (!whole && tokens.length < wanted) continue;
    const found: FoundToken[] = [];
    // A vocabulary without an unknown token has no id for what it does not know.
    ids.forEach((id, index) => {
      if (id !== undefined) found.push({ token: tokens[index] ?? "", id });
    });
    return found;
  }
}

/** The last white space before `chars`, where one is near; else the border of a character. */
function cutAt(text: string, chars: number): number {
  for (let at = chars; at > chars / 2; at--) if (/\s/u.test(text[at] ?? "")) return at;
  const unit = text.charCodeAt(chars);
  return unit >= 0xdc00 && unit <= 0xdfff ? chars - 1 : chars;
}

function rectangle(texts: readonly EncodedText[], padding: NonNullable<EncodeOptions["padding"]>, padId: number): EncodedBatch {
  const longest = texts.reduce((max, { ids }) => Math.max(max, ids.length), 0);
  const width = typeof padding === "number" ? padding : longest;
  if (longest > width) throw new StatusError("FIELD_INVALID", `a text has ${longest} tokens, more than the ${width} that are padded to: set a limit of tokens`, { metadata: { field: "text" } });
  if (padding === "none" && texts.some(({ ids }) => ids.length !== longest)) throw new TypeError("texts of different lengths make no rectangle without padding");
  const inputIds = new BigInt64Array(texts.length * width).fill(BigInt(padId));
  const attentionMask = new BigInt64Array(texts.length * width);
  const tokenTypeIds = new BigInt64Array(texts.length * width);
  texts.forEach(({ ids, typeIds }, row) => {
    ids.forEach((id, column) => {
      inputIds[row * width + column] = BigInt(id);
      attentionMask[row * width + column] = 1n;
      tokenTypeIds[row * width + column] = BigInt(typeIds[column] ?? 0);
    });
  });
  return { texts, width, inputIds, attentionMask, tokenTypeIds };
}

type TokenizerFile = Readonly<Record<string, unknown>>;

function parse(json: string): TokenizerFile {
  if (json.length > JSON_CHARS_MAX) throw new StatusError("TOKENIZER_INVALID", `tokenizer.json is larger than ${JSON_CHARS_MAX} characters`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new StatusError("TOKENIZER_INVALID", `tokenizer.json is no valid JSON: ${(error as Error).message}`, { cause: error });
  }
  const model = fieldOf(value, "model");
  if (typeof fieldOf(model, "vocab") !== "object") throw new StatusError("TOKENIZER_INVALID", "tokenizer.json has no model.vocab: it must be the file that Hugging Face's fast tokenizers save");
  // Hand-written files leave out what they do not use.
  return { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...(value as TokenizerFile) };
}

interface SpecialToken extends FoundToken {
  readonly typeId: number;
}

/** Stands for the text while the template of special tokens is read. */
const MARK = "\u0001";

function specialTokensOf(inner: HuggingFaceTokenizer): { before: SpecialToken[]; after: SpecialToken[] } {
  const processed = inner.post_processor?.([MARK], null, true) ?? { tokens: [MARK] };
  const all = processed.tokens.map((token, index): SpecialToken => ({ token, id: inner.token_to_id(token) ?? -1, typeId: processed.token_type_ids?.[index] ?? 0 }));
  const at = all.findIndex(({ token }) => token.includes(MARK));
  const unknown = all.find(({ id }, index) => index !== at && id === -1);
  if (at === -1 || unknown !== undefined) throw new StatusError("TOKENIZER_INVALID", `tokenizer.json adds the special token ${JSON.stringify(unknown?.token ?? "")} that its vocabulary lacks`);
  return { before: all.slice(0, at), after: all.slice(at + 1) };
}

function normalize(inner: HuggingFaceTokenizer, text: string): string {
  return inner.normalizer?.(text) ?? text;
}

function padIdOf(file: TokenizerFile, inner: HuggingFaceTokenizer): number {
  const stated = fieldOf(file["padding"], "pad_id");
  if (typeof stated === "number") return stated;
  return inner.token_to_id("[PAD]") ?? inner.token_to_id("<pad>") ?? 0;
}

function truncationOf(file: TokenizerFile): number | undefined {
  const stated = fieldOf(file["truncation"], "max_length");
  return typeof stated === "number" ? stated : undefined;
}

function continuationPrefixOf(file: TokenizerFile): string {
  const prefix = fieldOf(file["model"], "continuing_subword_prefix");
  return typeof prefix === "string" ? prefix : "";
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
