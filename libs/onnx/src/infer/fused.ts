import { intAttribute, textAttribute } from "../attributes.ts";
import type { Dimension, Value } from "../graph.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

const same: InferRule = (inference) => [operand(inference, 0)].map(({ datatype, shape }) => ({ datatype, shape }));

/** A loss of labels: one number, or one for each label; SoftmaxCrossEntropyLoss can give log probabilities too. */
const loss: InferRule = (inference) => {
  const [x, labels] = [operand(inference, 0), operand(inference, 1)];
  const each = textAttribute(inference.node, "reduction", "mean") === "none";
  return [{ datatype: x.datatype, shape: each ? labels.shape : [] }, { datatype: x.datatype, shape: x.shape }].slice(0, inference.outputCount);
};

/** Normalisation of the last axes: what it divides by has them as size 1. */
const simplified: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const axis = intAttribute(inference.node, "axis", -1);
  const kept = shape.map((size, index) => (index >= (axis < 0 ? axis + shape.length : axis) ? 1 : size));
  return [{ datatype, shape }, { datatype: "FP32" as const, shape: kept }].slice(0, inference.outputCount);
};

/** The normalised sum, its mean and deviation, the sum. */
const skip: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const kept = shape.map((size, index) => (index === shape.length - 1 ? 1 : size));
  return [{ datatype, shape }, { datatype: "FP32" as const, shape: kept }, { datatype: "FP32" as const, shape: kept }, { datatype, shape }].slice(0, inference.outputCount);
};

/** ai.onnx::Attention: [batch, heads, tokens, size], or [batch, tokens, heads · size]; then all keys and values so far, and the scores. */
const attention: InferRule = (inference) => {
  const [q, k, v] = [operand(inference, 0), operand(inference, 1), operand(inference, 2)];
  const width = v.shape.at(-1) ?? 1;
  const split = q.shape.length === 4;
  const y = split ? [...q.shape.slice(0, 3), width] : [...q.shape.slice(0, 2), wide(inference, width)];
  const heads = split ? (k.shape[1] ?? 1) : intAttribute(inference.node, "kv_num_heads", 1);
  const past = inference.inputs[4]?.shape[2] ?? 0;
  const own = split ? k.shape[2] : k.shape[1];
  const total = past === 0 ? (own ?? 1) : typeof past === "number" && typeof own === "number" ? past + own : inference.unknown();
  const kept = (value: Value): Dimension[] => [q.shape[0] ?? 1, heads, total, split ? (value.shape[3] ?? 1) : each(inference, value.shape[2] ?? 1, heads)];
  const scores = [q.shape[0] ?? 1, split ? (q.shape[1] ?? 1) : intAttribute(inference.node, "q_num_heads", 1), (split ? q.shape[2] : q.shape[1]) ?? 1, total];
  return [y, kept(k), kept(v), scores].map((shape) => ({ datatype: q.datatype, shape })).slice(0, inference.outputCount);
};

/** The size of one of several heads that stand side by side. */
function each(inference: Inference, width: Dimension, heads: Dimension): Dimension {
  return typeof width === "number" && typeof heads === "number" ? width / heads : inference.unknown();
}

function wide(inference: Inference, width: Dimension): Dimension {
  const heads = intAttribute(inference.node, "kv_num_heads", 1);
  return typeof width === "number" ? (width / heads) * intAttribute(inference.node, "q_num_heads", 1) : inference.unknown();
}

/** Losses, and what several operators do at once. */
export const FUSED_TYPES: Readonly<Record<string, InferRule>> = {
  SoftmaxCrossEntropyLoss: loss,
  NegativeLogLikelihoodLoss: loss,
  SimplifiedLayerNormalization: simplified,
  "com.microsoft::SkipLayerNormalization": skip,
  "com.microsoft::SkipSimplifiedLayerNormalization": skip,
  RotaryEmbedding: same,
  "com.microsoft::RotaryEmbedding": same,
  Attention: attention,
};
