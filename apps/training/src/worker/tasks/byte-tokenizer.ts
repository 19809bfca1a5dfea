// A vocabulary of bytes: any text has tokens, and none has to be learned. It is written as a tokenizer.json of byte-level BPE
// without merges, which every reader of such files understands.

/** Tokens of the byte vocabulary: 256 bytes and the end of a text. */
export const BYTE_VOCABULARY = 257;
/** Token that ends a text. */
export const END_TOKEN = 256;

const END_TEXT = "<|endoftext|>";

/** The bytes of a text as tokens. */
export function byteTokens(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The tokenizer.json of the byte vocabulary. */
export function byteTokenizerJson(): string {
  const characters = printable();
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{ id: END_TOKEN, content: END_TEXT, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab: { ...Object.fromEntries(characters.map((character, byte) => [character, byte])), [END_TEXT]: END_TOKEN }, merges: [] },
  });
}

/** The printable character that stands for each byte. Source: openai/gpt-2, src/encoder.py, bytes_to_unicode. */
function printable(): string[] {
  const isPrintable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + others++));
}
