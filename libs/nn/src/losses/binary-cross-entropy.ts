import { add, exp, mul, neg, relu, sigmoid, softplus, sub, type Graph, type Value } from "@servable/onnx";
import { scalar, times } from "../nodes.ts";
import { meanOfAll } from "./mean-of-all.ts";

/** Settings of a binary cross-entropy. */
export interface BinaryCrossEntropyOptions {
  /** Weight of the positive class. @default 1 */
  readonly positiveWeight?: number;
}

/**
 * Mean binary cross-entropy from logits: softplus(z) - z·t, which never takes a logarithm of zero.
 *
 * logits, targets: the same shape, f32 → []. Its gradient is (sigmoid(z) - t)/count.
 */
export function binaryCrossEntropy(graph: Graph, logits: Value, targets: Value, { positiveWeight = 1 }: BinaryCrossEntropyOptions = {}): Value {
  if (positiveWeight === 1) return meanOfAll(graph, sub(graph, softplus(graph, logits), mul(graph, logits, targets)));
  // (1-t)·z + (1 + (w-1)·t)·softplus(-z), as torch.nn.BCEWithLogitsLoss has it.
  const weight = add(graph, scalar(graph, 1), times(graph, targets, positiveWeight - 1));
  const rest = mul(graph, sub(graph, scalar(graph, 1), targets), logits);
  return meanOfAll(graph, add(graph, rest, mul(graph, weight, softplus(graph, neg(graph, logits)))));
}

/** Settings of the focal loss. */
export interface FocalOptions {
  /** How much less easy rows count. @default 2 */
  readonly gamma?: number;
  /** Weight of the positive class, 1-alpha of the other. @default 0.25 */
  readonly alpha?: number;
}

/**
 * Mean focal loss of two classes from logits: α·(1-p)^γ·(-log p), p the probability of the truth.
 *
 * logits, targets (0 or 1): the same shape, f32 → []. Source: Lin et al., Focal Loss for Dense Object Detection (2017), equation 5.
 */
export function focalLoss(graph: Graph, logits: Value, targets: Value, { gamma = 2, alpha = 0.25 }: FocalOptions = {}): Value {
  const entropy = sub(graph, softplus(graph, logits), mul(graph, logits, targets));
  // The margin of the wrong class: 1-p = sigmoid of it, and log(1-p) = -softplus(-margin) stays finite.
  const margin = mul(graph, logits, sub(graph, scalar(graph, 1), times(graph, targets, 2)));
  const missing = gamma === 2 ? square(graph, sigmoid(graph, margin)) : exp(graph, times(graph, softplus(graph, neg(graph, margin)), -gamma));
  const weight = add(graph, times(graph, targets, 2 * alpha - 1), scalar(graph, 1 - alpha));
  return meanOfAll(graph, mul(graph, weight, mul(graph, missing, entropy)));
}

const square = (graph: Graph, x: Value): Value => mul(graph, x, x);

/** Mean hinge loss of two classes: max(0, 1 - s·z), s = ±1. logits, targets (0 or 1): the same shape → []. Source: Cortes & Vapnik, Support-Vector Networks (1995). */
export function hingeLoss(graph: Graph, logits: Value, targets: Value): Value {
  const sign = sub(graph, times(graph, targets, 2), scalar(graph, 1));
  return meanOfAll(graph, relu(graph, sub(graph, scalar(graph, 1), mul(graph, sign, logits))));
}
