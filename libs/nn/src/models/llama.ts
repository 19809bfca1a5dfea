// Llama-class decoders: RMS normalisation, rotary positions, SwiGLU, shared heads of keys and values. Source: Touvron et al.,
// LLaMA (2023); parameter names as Hugging Face's LlamaForCausalLM.

import { add, type Value } from "@servable/onnx";
import { normal } from "../initializers.ts";
import { swiglu } from "../layers/activation.ts";
import { attention, causalMask } from "../layers/attention.ts";
import { embedding } from "../layers/embedding.ts";
import { affine, linear } from "../layers/linear.ts";
import { rmsNorm } from "../layers/normalization.ts";
import { rotaryTable } from "../layers/rotary.ts";
import type { Scope } from "../scope.ts";
import type { TransformerDimensions } from "./transformer-dimensions.ts";

/** Shape of a decoder; positions are bound by memory alone. */
export interface LlamaOptions extends Omit<TransformerDimensions, "positions" | "dropout"> {
  /** @default heads */
  readonly keyValueHeads?: number;
  /** Width inside a layer. */
  readonly intermediate: number;
  /** Base of the rotary angles. @default 10,000 */
  readonly rotaryBase?: number;
  /** Of the normalisations. @default 1e-5 */
  readonly epsilon?: number;
  /** Whether the last layer shares the table of tokens. @default false */
  readonly tied?: boolean;
}

/** The logits of each next token. ids: INT64 [batch, sequence] → [batch, sequence, vocabulary]. */
export function llama(nn: Scope, ids: Value, options: LlamaOptions): Value {
  const { graph } = nn;
  const { vocabulary, layers, width, heads, keyValueHeads = heads, intermediate, rotaryBase = 10_000, epsilon = 1e-5, tied = false } = options;
  const model = nn.child("model");
  const dense = { bias: false, initialize: normal(0.02) };
  const size = width / heads;
  const rotary = rotaryTable(nn, ids, 1, size, rotaryBase);
  const masks = [causalMask(nn, ids, 1)];
  let stream = embedding(model.child("embed_tokens"), ids, vocabulary, width, normal(0.02));
  for (let layer = 0; layer < layers; layer++) {
    const own = model.child(`layers.${layer}`);
    const normed = rmsNorm(own.child("input_layernorm"), stream, { epsilon });
    const project = (name: string, count: number): Value => linear(own.child(`self_attn.${name}_proj`), normed, count * size, dense);
    const seen = attention(own.child("self_attn"), project("q", heads), project("k", keyValueHeads), project("v", keyValueHeads), { heads, keyValueHeads, masks, rotary });
    stream = add(graph, stream, linear(own.child("self_attn.o_proj"), seen, width, dense));
    const inner = rmsNorm(own.child("post_attention_layernorm"), stream, { epsilon });
    const gated = swiglu(nn, linear(own.child("mlp.gate_proj"), inner, intermediate, dense), linear(own.child("mlp.up_proj"), inner, intermediate, dense));
    stream = add(graph, stream, linear(own.child("mlp.down_proj"), gated, width, dense));
  }
  const final = rmsNorm(model.child("norm"), stream, { epsilon });
  return tied ? affine(nn, final, model.parameter("embed_tokens.weight", [vocabulary, width], normal(0.02))) : linear(nn.child("lm_head"), final, vocabulary, dense);
}
