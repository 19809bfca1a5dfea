// GPT-class decoders. Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019); parameter names as
// Hugging Face's GPT2LMHeadModel, weights [outputs, inputs] as torch.nn.Linear (GPT-2's own files have them transposed).

import { add, type Value } from "@servable/onnx";
import { normal, zeros } from "../initializers.ts";
import { gelu } from "../layers/activation.ts";
import { attention, causalMask } from "../layers/attention.ts";
import { dropout } from "../layers/dropout.ts";
import { embedding } from "../layers/embedding.ts";
import { affine, linear } from "../layers/linear.ts";
import { layerNorm } from "../layers/normalization.ts";
import { positionsOf } from "../layers/positions.ts";
import { splitLast } from "../nodes.ts";
import type { Scope } from "../scope.ts";
import type { TransformerDimensions } from "./transformer-dimensions.ts";

/** Shape of a decoder. */
export interface GptOptions extends TransformerDimensions {
  /** Whether the last layer shares the table of tokens. @default true */
  readonly tied?: boolean;
  /** Width inside a layer. @default 4 · width */
  readonly intermediate?: number;
}

/** The logits of each next token. ids: INT64 [batch, sequence] → [batch, sequence, vocabulary]. */
export function gpt(nn: Scope, ids: Value, { vocabulary, layers, width, heads, positions, dropout: rate = 0, tied = true, intermediate = 4 * width }: GptOptions): Value {
  const { graph } = nn;
  const body = nn.child("transformer");
  const dense = { initialize: normal(0.02), initializeBias: zeros };
  // Each layer adds twice to the stream: its last weights begin smaller, so that the sum does not grow with the depth.
  const last = { initialize: normal(0.02 / Math.sqrt(2 * layers)), initializeBias: zeros };
  const words = embedding(body.child("wte"), ids, vocabulary, width, normal(0.02));
  const places = embedding(body.child("wpe"), positionsOf(nn, ids, 1), positions, width, normal(0.02)); // [sequence, width]
  let stream = dropout(body, add(graph, words, places), rate);
  const masks = [causalMask(nn, ids, 1)];
  for (let layer = 0; layer < layers; layer++) {
    const own = body.child(`h.${layer}`);
    const [query, key, value] = splitLast(graph, linear(own.child("attn.c_attn"), layerNorm(own.child("ln_1"), stream), 3 * width, dense), 3) as [Value, Value, Value];
    const seen = attention(own.child("attn"), query, key, value, { heads, masks, dropout: rate });
    stream = add(graph, stream, dropout(own, linear(own.child("attn.c_proj"), seen, width, last), rate, "attn.dropout"));
    const inner = gelu(nn, linear(own.child("mlp.c_fc"), layerNorm(own.child("ln_2"), stream), intermediate, dense), "tanh");
    stream = add(graph, stream, dropout(own, linear(own.child("mlp.c_proj"), inner, width, last), rate, "mlp.dropout"));
  }
  const final = layerNorm(body.child("ln_f"), stream);
  return tied ? affine(nn, final, body.parameter("wte.weight", [vocabulary, width], normal(0.02))) : linear(nn.child("lm_head"), final, vocabulary, { ...dense, bias: false });
}
