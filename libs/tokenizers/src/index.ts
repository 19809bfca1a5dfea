export { createTokenizer, type EncodeOptions, type EncodedBatch, type EncodedText, type Tokenizer } from "./tokenizer.ts";
