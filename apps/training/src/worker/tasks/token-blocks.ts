// What a language model learns from, as rows: windows of one long text, or conversations of which only the answers count.

import { randomStream } from "@servable/nn";
import type { ChatExamples, ChatExample, TextLines } from "../../domain/dataset-reader/dataset-table.ts";
import { PART } from "@servable/preprocessing";
import type { BatchDraw } from "../learning-task.ts";

/** Label of a token that is not asked for. */
export const NOT_ASKED = -100;

/** Tokens of a row, and what follows each. */
export interface TokenRow {
  readonly ids: ArrayLike<number>;
  /** The token after each, or {@link NOT_ASKED}. */
  readonly labels: ArrayLike<number>;
}

/** Rows of tokens, by part. */
export interface TokenBlocks {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
  readonly test: Uint32Array;
  /** The row; with a draw, a training window begins elsewhere in each epoch. */
  row(row: number, draw?: BatchDraw): TokenRow;
}

/** Texts as tokens and the token that ends one. */
export interface TokenSource {
  readonly encode: (text: string) => ArrayLike<number>;
  /** Undefined = the vocabulary has none. */
  readonly endId: number | undefined;
}

/** How a document is divided. */
export interface BlockOptions {
  /** Tokens of a window. */
  readonly length: number;
  /** Part of each line; absent = the last lines are for validation, so that no window is seen twice. */
  readonly split?: Uint8Array | undefined;
  readonly validationFraction: number;
  readonly seed: number;
}

/** Windows of the lines of a document, one behind the other. */
export function documentBlocks(lines: TextLines, source: TokenSource, { length, split, validationFraction, seed }: BlockOptions): TokenBlocks {
  const validationFrom = lines.rowCount - Math.floor(lines.rowCount * validationFraction);
  const partOf = (line: number): number => split?.[line] ?? (line < validationFrom ? PART.training : PART.validation);
  const parts = [PART.training, PART.validation, PART.test].map((part) => tokensOf(lines, source, (line) => partOf(line) === part));
  const counts = parts.map((tokens) => Math.floor((tokens.length - 1) / length)).map((count) => Math.max(0, count));
  const starts = [0, counts[0] ?? 0, (counts[0] ?? 0) + (counts[1] ?? 0)];
  const rows = (part: number): Uint32Array => Uint32Array.from({ length: counts[part] ?? 0 }, (_, index) => (starts[part] ?? 0) + index);
  // The windows of an epoch begin somewhere else in those of the one before.
  const shifts = new Map<number, number>();
  const shiftOf = (epoch: number): number => {
    const known = shifts.get(epoch) ?? Math.floor(randomStream(seed, `window ${epoch}`).uniform() * length);
    shifts.set(epoch, known);
    return known;
  };
  return {
    training: rows(0),
    validation: rows(1),
    test: rows(2),
    row: (row, draw) => {
      const part = row >= (starts[2] ?? 0) ? 2 : row >= (starts[1] ?? 0) ? 1 : 0;
      const tokens = parts[part] ?? new Int32Array();
      const wanted = (row - (starts[part] ?? 0)) * length + (part === 0 && draw !== undefined ? shiftOf(draw.epoch) : 0);
      const start = Math.min(wanted, tokens.length - 1 - length);
      return { ids: tokens.subarray(start, start + length), labels: tokens.subarray(start + 1, start + length + 1) };
    },
  };
}

function tokensOf(lines: TextLines, { encode }: TokenSource, wanted: (line: number) => boolean): Int32Array {
  let tokens = new Int32Array(1024);
  let count = 0;
  for (let line = 0; line < lines.rowCount; line++) {
    if (!wanted(line)) continue;
    const encoded = encode(line < lines.rowCount - 1 ? `${lines.text(line)}\n` : lines.text(line));
    if (count + encoded.length > tokens.length) {
      const grown = new Int32Array(Math.max(2 * tokens.length, count + encoded.length));
      grown.set(tokens);
      tokens = grown;
    }
    tokens.set(encoded, count);
    count += encoded.length;
  }
  return tokens.subarray(0, count);
}

/** A conversation as tokens: every turn is read, only the assistant's are asked for. What exceeds `length` is cut off. */
export function chatTokens(example: ChatExample, { encode, endId }: TokenSource, length: number): TokenRow {
  const ids: number[] = [];
  const asked: boolean[] = [];
  const add = (text: string, learn: boolean): void => {
    const tokens = encode(text);
    for (let index = 0; index < tokens.length; index++) {
      ids.push(tokens[index] ?? 0);
      asked.push(learn);
    }
  };
  const turns = "messages" in example ? example.messages : undefined;
  if (turns === undefined) {
    const { prompt, completion } = example as { prompt: string; completion: string };
    add(prompt, false);
    add(completion, true);
  } else {
    for (const { role, content, weight } of turns) {
      const learn = role === "assistant" && weight !== 0;
      add(`${TURNS[role]}: `, false);
      add(`${content}\n`, learn);
    }
  }
  if (endId !== undefined) {
    ids.push(endId);
    asked.push(true);
  }
  const kept = Math.min(length, ids.length - 1);
  return { ids: ids.slice(0, kept), labels: ids.slice(1, kept + 1).map((id, index) => (asked[index + 1] === true ? id : NOT_ASKED)) };
}

const TURNS = { system: "System", user: "User", assistant: "Assistant", tool: "Tool", developer: "System" } as const;

/** How a served model is asked: the turns so far, and the beginning of the answer. A Jinja template as Hugging Face's tokenizers have it. */
export const CHAT_TEMPLATE = "{% for message in messages %}{{ {'system': 'System', 'developer': 'System', 'user': 'User', 'assistant': 'Assistant', 'tool': 'Tool'}[message['role']] }}: {{ message['content'] }}\n{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}";

/** Conversations as rows. */
export function chatBlocks(chats: ChatExamples, source: TokenSource, parts: Pick<TokenBlocks, "training" | "validation" | "test">, length: number): TokenBlocks {
  const known = new Map<number, TokenRow>();
  return {
    ...parts,
    row: (row) => {
      const before = known.get(row) ?? chatTokens(chats.example(row), source, length);
      known.set(row, before);
      return before;
    },
  };
}
