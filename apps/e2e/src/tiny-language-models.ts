// Language models so small that a test trains them in seconds: whole words, random weights.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scope, bert, gpt } from "@servable/nn";
import { buildModel, type Value } from "@servable/onnx";

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "please", "refund", "my", "money", "card", "lost", "where", "is", "the", "a", "i", "want", "back", "new", "order", "hello", "user", "assistant", "system", ":", "yes", "no", "[END]"];
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[END]"];
const END = WORDS.indexOf("[END]");

/** A tokenizer.json of whole words in lower case; an encoder's puts [CLS] and [SEP] around a text. */
function wordTokenizer(encoder: boolean): string {
  const special = (content: string): object => ({ id: content, ids: [WORDS.indexOf(content)], tokens: [content] });
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content) => ({ id: WORDS.indexOf(content), content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: encoder ? { type: "TemplateProcessing", single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "[SEP]", type_id: 0 } }], pair: [], special_tokens: { "[CLS]": special("[CLS]"), "[SEP]": special("[SEP]") } } : null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])) },
  });
}

/** Files of a model version, by their path inside it. */
export interface WrittenModel {
  readonly files: readonly { readonly path: string; readonly file: string }[];
}

/** Writes an encoder of two layers: token vectors. */
export function writeTinyEncoder(folder: string): WrittenModel {
  const nn = new Scope({ mode: "infer", seed: 3, weights: () => undefined });
  const input = (name: string): Value => nn.input(name, "INT64", ["batch", "sequence"]);
  const hidden = bert(nn, { ids: input("input_ids"), mask: input("attention_mask"), types: input("token_type_ids") }, { vocabulary: WORDS.length, layers: 2, width: 16, heads: 2, positions: 32 });
  return write(folder, { "model.onnx": buildModel({ graph: nn.graph, outputs: { last_hidden_state: hidden } }), "tokenizer.json": wordTokenizer(true) });
}

/** Writes a decoder of one layer: logits of the next word. */
export function writeTinyDecoder(folder: string): WrittenModel {
  const nn = new Scope({ mode: "infer", seed: 5, weights: () => undefined });
  const logits = gpt(nn, nn.input("input_ids", "INT64", ["batch", "sequence"]), { vocabulary: WORDS.length, positions: 48, layers: 1, heads: 2, width: 32, dropout: 0 });
  return write(folder, { "model.onnx": buildModel({ graph: nn.graph, outputs: { logits } }), "tokenizer.json": wordTokenizer(false), "config.json": JSON.stringify({ n_positions: 48, eos_token_id: END }) });
}

function write(folder: string, contents: Readonly<Record<string, string | Uint8Array>>): WrittenModel {
  mkdirSync(folder, { recursive: true });
  return {
    files: Object.entries(contents).map(([path, content]) => {
      const file = join(folder, path);
      writeFileSync(file, content);
      return { path, file };
    }),
  };
}
