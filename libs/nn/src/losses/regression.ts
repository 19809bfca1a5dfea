import { mul, sub, type Graph, type Value } from "@servable/onnx";
import { same, scalar, times } from "../nodes.ts";
import { meanOfAll } from "./mean-of-all.ts";

/** Mean squared error. predictions, targets: the same shape, f32 → []. */
export function meanSquaredError(graph: Graph, predictions: Value, targets: Value): Value {
  const error = sub(graph, predictions, targets);
  return meanOfAll(graph, mul(graph, error, error));
}

/** Mean absolute error. predictions, targets: the same shape, f32 → []. */
export const meanAbsoluteError = (graph: Graph, predictions: Value, targets: Value): Value => meanOfAll(graph, same(graph, "Abs", sub(graph, predictions, targets)));

/**
 * Half of the squared error up to `delta`, a line beyond, the mean of it. predictions, targets: the same shape → [].
 *
 * Source: Huber, Robust Estimation of a Location Parameter (1964); numbers as torch.nn.HuberLoss.
 */
export function huberLoss(graph: Graph, predictions: Value, targets: Value, delta = 1): Value {
  const error = sub(graph, predictions, targets);
  // With c = the error cut off at ±delta: c·(error - c/2) is both branches at once.
  const cut = graph.node("Clip", [error, scalar(graph, -delta), scalar(graph, delta)], { datatype: error.datatype, shape: error.shape });
  return meanOfAll(graph, mul(graph, cut, sub(graph, error, times(graph, cut, 0.5))));
}
