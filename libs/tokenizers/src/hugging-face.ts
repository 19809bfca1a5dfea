// The package's own declarations import each other without file extensions, which Node's module resolution does not follow;
// so what is used of it is declared here.

import * as huggingFace from "@huggingface/tokenizers";

/** The part of @huggingface/tokenizers' Tokenizer that is used. */
export interface HuggingFaceTokenizer {
  readonly model: { readonly unk_token?: string } | undefined;
  readonly normalizer: ((text: string) => string) | null;
  readonly post_processor: ((tokens: string[], pair: null, specialTokens: boolean) => { readonly tokens: readonly string[]; readonly token_type_ids?: readonly number[] }) | null;
  /** An id is undefined where the vocabulary has neither the token nor an unknown one. */
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly (number | undefined)[]; readonly tokens: readonly string[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
  get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>;
  get_added_tokens_decoder(): ReadonlyMap<number, { readonly content: string }>;
}

/** Its constructor: the parsed tokenizer.json, and the parsed tokenizer_config.json. */
export const HuggingFaceTokenizer = (huggingFace as unknown as { Tokenizer: new (file: object, config: object) => HuggingFaceTokenizer }).Tokenizer;
