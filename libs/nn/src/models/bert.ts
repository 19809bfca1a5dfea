// BERT-class encoders. Source: Devlin et al., BERT (2019); parameter names as Hugging Face's BertModel.

import { add, cast, gather, tanh, ELEMENT_TYPES, type Value } from "@servable/onnx";
import { normal, zeros } from "../initializers.ts";
import { activate, type Activation } from "../layers/activation.ts";
import { attention, paddingMask } from "../layers/attention.ts";
import { dropout } from "../layers/dropout.ts";
import { embedding } from "../layers/embedding.ts";
import { linear } from "../layers/linear.ts";
import { layerNorm } from "../layers/normalization.ts";
import { positionsOf } from "../layers/positions.ts";
import { slice, squeeze, unsqueeze } from "../nodes.ts";
import type { Scope } from "../scope.ts";
import type { TransformerDimensions } from "./transformer-dimensions.ts";

/** Shape of an encoder. */
export interface BertOptions extends TransformerDimensions {
  /** Width inside a layer. @default 4 · width */
  readonly intermediate?: number;
  /** Kinds of segments. @default 2 */
  readonly types?: number;
  /** @default "gelu" */
  readonly activation?: Activation;
  /** Of the layer normalisations. @default 1e-12 */
  readonly epsilon?: number;
}

/** What an encoder reads. */
export interface BertInputs {
  /** INT64 [batch, sequence] */
  readonly ids: Value;
  /** INT64 [batch, sequence]: 1 for tokens, 0 for padding. @default all are tokens */
  readonly mask?: Value;
  /** INT64 [batch, sequence]: segment of each token. @default all are of the first */
  readonly types?: Value;
}

const initialize = normal(0.02);
const dense = { initialize, initializeBias: zeros } as const;

/** The hidden states of the last layer: [batch, sequence, width]. */
export function bert(nn: Scope, { ids, mask, types }: BertInputs, options: BertOptions): Value {
  const { graph } = nn;
  const { width, heads, layers, positions, types: typeCount = 2, intermediate = 4 * width, activation = "gelu", epsilon = 1e-12, dropout: rate = 0 } = options;
  const tables = nn.child("embeddings");
  const words = embedding(tables.child("word_embeddings"), ids, options.vocabulary, width, initialize);
  const places = embedding(tables.child("position_embeddings"), positionsOf(nn, ids, 1), positions, width, initialize); // [sequence, width]
  const table = tables.parameter("token_type_embeddings.weight", [typeCount, width], initialize);
  const kinds = types === undefined ? gather(graph, table, graph.constant("INT64", [1], [0n])) : gather(graph, table, types);
  let hidden = dropout(nn, layerNorm(tables.child("LayerNorm"), add(graph, add(graph, words, kinds), places), { epsilon }), rate, "embeddings.dropout");
  const masks = mask === undefined ? [] : [paddingMask(nn, mask)];
  for (let layer = 0; layer < layers; layer++) {
    const own = nn.child(`encoder.layer.${layer}`);
    const project = (name: string): Value => linear(own.child(`attention.self.${name}`), hidden, width, dense);
    const seen = attention(own.child("attention"), project("query"), project("key"), project("value"), { heads, masks, dropout: rate });
    const attended = dropout(own, linear(own.child("attention.output.dense"), seen, width, dense), rate, "attention.output.dropout");
    const middle = layerNorm(own.child("attention.output.LayerNorm"), add(graph, attended, hidden), { epsilon });
    const inner = activate(nn, linear(own.child("intermediate.dense"), middle, intermediate, dense), activation);
    const outer = dropout(own, linear(own.child("output.dense"), inner, width, dense), rate, "output.dropout");
    hidden = layerNorm(own.child("output.LayerNorm"), add(graph, outer, middle), { epsilon });
  }
  return hidden;
}

/** How the tokens of a text become one vector. */
export type TextPooling = "first" | "mean";

/**
 * One vector a text: the first token through `pooler.dense` and tanh as BERT was trained ("first"), or the mean of all true
 * tokens ("mean"). hidden: [batch, sequence, width] → [batch, width].
 */
export function pooledText(nn: Scope, hidden: Value, mask: Value | undefined, pooling: TextPooling): Value {
  const { graph } = nn;
  const width = Number(hidden.shape.at(-1));
  if (pooling === "first") return tanh(graph, linear(nn.child("pooler.dense"), squeeze(graph, slice(graph, hidden, 1, 0, 1), 1), width, dense));
  if (mask === undefined) return graph.node("ReduceMean", [hidden, graph.constant("INT64", [1], [1n])], { datatype: "FP32", shape: [hidden.shape[0] ?? 1, width] }, { keepdims: 0 });
  const weights = unsqueeze(graph, mask.datatype === "FP32" ? mask : cast(graph, mask, "FP32", ELEMENT_TYPES.FP32), [2]); // [batch, sequence, 1]
  const sum = graph.node("ReduceSum", [graph.node("Mul", [hidden, weights], { datatype: "FP32", shape: hidden.shape }), graph.constant("INT64", [1], [1n])], { datatype: "FP32", shape: [hidden.shape[0] ?? 1, width] }, { keepdims: 0 });
  const count = graph.node("ReduceSum", [weights, graph.constant("INT64", [1], [1n])], { datatype: "FP32", shape: [hidden.shape[0] ?? 1, 1] }, { keepdims: 0 });
  return graph.node("Div", [sum, count], { datatype: "FP32", shape: sum.shape });
}

/** A classifier over an encoder: logits [batch, classes] of the pooled text, as BertForSequenceClassification names them. */
export function bertClassifier(nn: Scope, inputs: BertInputs, options: BertOptions & { readonly classes: number; readonly pooling?: TextPooling }): Value {
  const own = nn.child("bert");
  const pooled = pooledText(own, bert(own, inputs, options), inputs.mask, options.pooling ?? "first");
  return linear(nn.child("classifier"), dropout(nn, pooled, options.dropout ?? 0, "classifier.dropout"), options.classes, dense);
}
