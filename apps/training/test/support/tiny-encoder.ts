import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scope, bert } from "@servable/nn";
import { buildModel, type Value } from "@servable/onnx";

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "please", "refund", "my", "money", "card", "lost", "where", "is", "the", "a", "i", "want", "back", "new", "order", "hello"];

/** A tokenizer.json of whole words in lower case with [CLS] and [SEP] around. */
export const WORD_TOKENIZER = JSON.stringify({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [0, 1, 2, 3].map((id) => ({ id, content: WORDS[id], single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
  normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "[SEP]", type_id: 0 } }], pair: [], special_tokens: { "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] }, "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] } } },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])) },
});

/** Writes a folder with an untrained encoder of two layers and its tokenizer: a base model. */
export function writeTinyEncoder(folder: string): string {
  const nn = new Scope({ mode: "infer", seed: 3, weights: () => undefined });
  const input = (name: string): Value => nn.input(name, "INT64", ["batch", "sequence"]);
  const inputs = { ids: input("input_ids"), mask: input("attention_mask"), types: input("token_type_ids") };
  const hidden = bert(nn, inputs, { vocabulary: WORDS.length, layers: 2, width: 16, heads: 2, positions: 32 });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.onnx"), buildModel({ graph: nn.graph, outputs: { last_hidden_state: hidden } }));
  writeFileSync(join(folder, "tokenizer.json"), WORD_TOKENIZER);
  return folder;
}
