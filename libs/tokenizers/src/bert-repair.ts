// Two things that @huggingface/tokenizers 0.2.0 does otherwise than the reference implementation, both of BertNormalizer
// (huggingface/tokenizers, tokenizers/src/normalizers/bert.rs): it sees no Chinese characters beyond U+FFFF, and
// JavaScript's toLowerCase makes the last sigma of a word ς where Rust lowers each character alone. The text is changed so
// that both come out alike.

/** Chinese characters beyond U+FFFF that stand as tokens of their own. */
const RARE_CHINESE = /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** What to do to a text before it is tokenised; nothing where the normaliser is another. */
export function createBertRepair(normalizer: unknown): (text: string) => string {
  const { type, handle_chinese_chars: chinese, lowercase } = (typeof normalizer === "object" && normalizer !== null ? normalizer : {}) as Readonly<Record<string, unknown>>;
  if (type !== "BertNormalizer") return (text) => text;
  return (text) => {
    let repaired = chinese === false ? text : text.replaceAll(RARE_CHINESE, " $& ");
    if (lowercase !== false) repaired = repaired.replaceAll("Σ", "σ");
    return repaired;
  };
}
