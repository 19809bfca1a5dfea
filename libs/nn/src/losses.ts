import { logSoftmax, mul, neg, reduceMean, reduceSum, reshape, softplus, sub, type Graph, type Value } from "@servable/onnx";

/**
 * Mean binary cross-entropy from logits: softplus(z) - z·t, which never takes a logarithm of zero.
 *
 * logits, targets: [batch, 1], f32 → []. Its gradient is (sigmoid(z) - t)/batch.
 */
export function binaryCrossEntropy(graph: Graph, logits: Value, targets: Value): Value {
  const perRow = sub(graph, softplus(graph, logits), mul(graph, logits, targets)); // [batch, 1]
  return reduceMean(graph, perRow, [0, 1]);
}

/**
 * Mean cross-entropy from logits against one-hot targets.
 *
 * logits, targets: [batch, classes], f32 → []. Its gradient is (softmax(z) - t)/batch.
 */
export function softmaxCrossEntropy(graph: Graph, logits: Value, targets: Value): Value {
  const perRow = neg(graph, reduceSum(graph, mul(graph, targets, logSoftmax(graph, logits)), [1])); // [batch]
  return reshape(graph, reduceMean(graph, perRow, [0]), []);
}
