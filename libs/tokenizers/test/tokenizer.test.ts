import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { sharedAsset, skipWithout } from "@servable/testing";
import { createTokenizer, type Tokenizer } from "../src/index.ts";

const FILES = {
  "bert-mini-intents": "assets/bert-mini-intents/tokenizer.json",
  "all-minilm-l6-v2": "assets/tokenizers/all-minilm-l6-v2/tokenizer.json",
  "llm-stories260k": "assets/llm-stories260k/tokenizer.json",
} as const;
const read = (path: string): string => readFileSync(sharedAsset(path) ?? "", "utf8");
const goldens = JSON.parse(readFileSync(new URL("./goldens.json", import.meta.url), "utf8")) as { texts: string[]; ids: Record<string, number[][]> };
const because = (reason: Reason, pattern: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === reason && pattern.test(error.message);

/** A tokenizer of words, small enough to be followed by eye. */
function words(overrides: Record<string, unknown> = {}): string {
  const vocab = Object.fromEntries(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "."].map((token, id) => [token, id]));
  return JSON.stringify({
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map((content) => ({ id: vocab[content], content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false })),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "[SEP]", type_id: 0 } }], pair: [], special_tokens: {} },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
    ...overrides,
  });
}

describe("tokenizers", () => {
  for (const [name, path] of Object.entries(FILES)) {
    describe(name, { skip: skipWithout(path) }, () => {
      goldens.texts.forEach((text, index) => {
        it(`gives the ids of the reference implementation for ${JSON.stringify(text)}`, () => {
          const tokenizer = createTokenizer(read(path));

          assert.deepEqual(tokenizer.encode([text]).texts[0]?.ids, goldens.ids[name]?.[index]);
        });
      });
    });
  }

  it("gives GPT-2's ids from its vocabulary and merges", { skip: skipWithout("assets/tokenizers/gpt2/vocab.json", "assets/tokenizers/gpt2/merges.txt") }, () => {
    const merges = read("assets/tokenizers/gpt2/merges.txt").split("\n").filter((line) => line !== "" && !line.startsWith("#version"));
    const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
    const tokenizer = createTokenizer(JSON.stringify({ added_tokens: [], normalizer: null, pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel, model: { type: "BPE", vocab: JSON.parse(read("assets/tokenizers/gpt2/vocab.json")) as unknown, merges } }));

    goldens.texts.forEach((text, index) => assert.deepEqual(tokenizer.encode([text]).texts[0]?.ids, goldens.ids["gpt2"]?.[index], text));
    assert.deepEqual(tokenizer.encode(["Hello world"]).texts[0]?.ids, [15496, 995]);
    assert.equal(tokenizer.decode([15496, 995]), "Hello world");
  });

  it("gives the recorded ids of the intents' sentences", { skip: skipWithout("assets/bert-mini-intents/expected.json") }, () => {
    const tokenizer = createTokenizer(read(FILES["bert-mini-intents"]));
    const expected = JSON.parse(read("assets/bert-mini-intents/expected.json")) as { text: string; ids: number[] }[];

    for (const { text, ids } of expected) assert.deepEqual(tokenizer.encode([text]).texts[0]?.ids, ids);
  });

  it("reads back what it wrote, emoji included", { skip: skipWithout(FILES["llm-stories260k"]) }, () => {
    const tokenizer = createTokenizer(read(FILES["llm-stories260k"]));
    const { ids = [] } = tokenizer.encode(["naïve café 😀"]).texts[0] ?? {};

    assert.equal(tokenizer.decode(ids).trim(), "naïve café 😀");
  });
});

describe("batches of texts", () => {
  const tokenizer: Tokenizer = createTokenizer(words());

  it("are padded to the longest, with a mask", () => {
    const { width, inputIds, attentionMask, tokenTypeIds } = tokenizer.encode(["The cats sat.", "cat"]);

    assert.equal(width, 7);
    assert.deepEqual([...inputIds].map(Number), [2, 4, 5, 6, 7, 8, 3, 2, 5, 3, 0, 0, 0, 0]);
    assert.deepEqual([...attentionMask].map(Number), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    assert.ok(tokenTypeIds.every((id) => id === 0n));
  });

  it("are cut to a number of tokens and keep their special tokens", () => {
    const { texts } = tokenizer.encode(["the cat sat the cat sat"], { tokensMax: 4 });

    assert.deepEqual(texts[0]?.ids, [2, 4, 5, 3]);
    assert.equal(texts[0]?.truncated, true);
    assert.equal(tokenizer.encode(["cat"], { tokensMax: 4 }).texts[0]?.truncated, false);
  });

  it("take a text of a million characters as fast as its beginning", () => {
    const { texts } = tokenizer.encode(["cat ".repeat(250_000)], { tokensMax: 128 });

    assert.equal(texts[0]?.ids.length, 128);
    assert.deepEqual(new Set(texts[0]?.ids.slice(1, -1)), new Set([5]));
  });

  it("are the same for a long text whether or not it was cut before it was tokenised", () => {
    const text = "the cats sat. ".repeat(400);

    assert.deepEqual(tokenizer.encode([text], { tokensMax: 64 }).texts[0]?.ids.slice(0, -1), tokenizer.encode([text]).texts[0]?.ids.slice(0, 63));
  });

  it("hold empty texts as their special tokens", () => {
    assert.deepEqual(tokenizer.encode([""]).texts[0]?.ids, [2, 3]);
    assert.deepEqual(tokenizer.encode(["", "   "], { specialTokens: false }).texts.map(({ ids }) => ids), [[], []]);
  });

  it("say where each token stands", () => {
    const text = "The 😀😀 cats sat\u0301.";
    const { tokens = [], offsets = [], special = [] } = tokenizer.encode([text], { offsets: true }).texts[0] ?? {};

    assert.deepEqual(tokens.map((token, index) => (special[index] ? token : text.slice(...(offsets[index] ?? [0, 0])))), ["[CLS]", "The", "😀😀", "cat", "s", "sat", ".", "[SEP]"]);
  });

  const wrong = [
    { what: "no JSON", run: () => createTokenizer("{"), want: because("TOKENIZER_INVALID", /no valid JSON/) },
    { what: "a file without a vocabulary", run: () => createTokenizer("{}"), want: because("TOKENIZER_INVALID", /model\.vocab/) },
    { what: "an unknown kind of normaliser", run: () => createTokenizer(words({ normalizer: { type: "Nonsense" } })), want: because("TOKENIZER_INVALID", /Nonsense/) },
    { what: "a special token without an id", run: () => createTokenizer(words({ post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "[BOS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }], pair: [] } })), want: because("TOKENIZER_INVALID", /\[BOS\]/) },
    { what: "a text beyond the limit", run: () => tokenizer.encode(["a".repeat(1_000_001)], { tokensMax: 8 }), want: because("FIELD_INVALID", /1000001 characters/) },
    { what: "a text longer than a fixed width", run: () => tokenizer.encode(["cat cat cat"], { padding: 4 }), want: because("FIELD_INVALID", /5 tokens/) },
  ];
  for (const { what, run, want } of wrong) it(`refuses ${what}`, () => assert.throws(run, want));
});
