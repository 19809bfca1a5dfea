// Losses of ONNX on whole-number labels. Their gradients come from the logits' probabilities at once: no chain of LogSoftmax,
// Gather and Neg, and labels enter by a scatter of one element a row instead of a one-hot matrix.

import { add, cast, div, equal, exp, gather, greater, intAttribute, mul, neg, op, reduceSum, scalar, textAttribute, unsqueeze, where, type Graph, type Value } from "@servable/onnx";
import { inputOf, sameAs, spreadLike, zerosLike, type Rule, type RuleContext } from "./rule.ts";

/** Losses. x: [batch, classes, …], labels: [batch, …]. */
export const LOSSES: Readonly<Record<string, Rule>> = {
  /** (softmax - onehot)·u, with u the label's weight times what reaches its element: g/Σ weights for the mean. Ignored labels have weight 0. */
  SoftmaxCrossEntropyLoss: (context) => {
    const { graph, node, needed } = context;
    if (needed[0] !== true) return [];
    const x = inputOf(context, 0);
    const logits = graph.optionalOutput(node, 1, { datatype: x.datatype, shape: x.shape });
    const { share, labels } = shares(context, x);
    const pulled = mul(graph, exp(graph, logits), share);
    return [sameAs(graph, "ScatterElements", [pulled, labels, neg(graph, share)], x, { axis: 1, reduction: "add" })];
  },
  /** -onehot·u of log probabilities */
  NegativeLogLikelihoodLoss: (context) => {
    const { graph, needed } = context;
    if (needed[0] !== true) return [];
    const x = inputOf(context, 0);
    const { share, labels } = shares(context, x);
    return [sameAs(graph, "ScatterElements", [zerosLike(graph, x), labels, neg(graph, share)], x, { axis: 1 })];
  },
};

/** What each labelled element's probability weighs in the loss times g, and the labels, ignored ones replaced by 0: [batch, 1, …]. */
function shares(context: RuleContext, x: Value): { share: Value; labels: Value } {
  const { graph, node, upstream } = context;
  const [stated, weights] = [inputOf(context, 1), node.inputs[2]];
  const whole = cast(graph, stated, "INT64");
  const ignored = node.attributes["ignore_index"] === undefined ? undefined : equal(graph, whole, graph.constant("INT64", [], [BigInt(intAttribute(node, "ignore_index", -100))]));
  const labels = ignored === undefined ? whole : where(graph, ignored, graph.constant("INT64", [], [0n]), whole);
  const counted = weights === undefined ? undefined : gather(graph, weights, labels);
  const weight = ignored === undefined ? counted : where(graph, ignored, scalar(graph, x, 0), counted ?? scalar(graph, x, 1));
  const each = shareOf(graph, textAttribute(node, "reduction", "mean"), upstream, weight, labels);
  return { share: unsqueeze(graph, spreadLike(graph, each, labels), [1]), labels: unsqueeze(graph, labels, [1]) };
}

function shareOf(graph: Graph, reduction: string, upstream: Value, weight: Value | undefined, labels: Value): Value {
  if (reduction !== "mean") return weight === undefined ? upstream : mul(graph, upstream, weight);
  const axes = labels.shape.map((_, axis) => axis);
  const total = weight === undefined ? cast(graph, op(graph, "Size", [labels]), upstream.datatype) : reduceSum(graph, spreadLike(graph, weight, labels), axes);
  // Where every label is ignored there is nothing to learn; the loss itself is 0/0.
  const some = where(graph, greater(graph, total, scalar(graph, total, 0)), total, add(graph, total, scalar(graph, total, 1)));
  const share = div(graph, upstream, some);
  return weight === undefined ? share : mul(graph, share, weight);
}
