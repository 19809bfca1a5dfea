import { GraphError, add, concat, div, equal, gemm, mul, reduceSum, relu, sub, where, type Graph, type Value } from "@servable/onnx";
import { indicesAlong, same, scalar, times, unsqueeze } from "../nodes.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { meanOfAll } from "./mean-of-all.ts";

/** A square root needs a slope at 0 as well. */
const LENGTH_MIN = 1e-12;

/** Rows brought to length 1. x: [batch, size]. */
export function unitRows(graph: Graph, x: Value): Value {
  const squares = add(graph, reduceSum(graph, mul(graph, x, x), [1], true), scalar(graph, LENGTH_MIN));
  return div(graph, x, same(graph, "Sqrt", squares));
}

/**
 * Each row must find its partner among all: cross-entropy over cosine similarities, in both directions.
 *
 * a, b: [batch, size], row k of each belong together → []. Source: van den Oord et al.,
 * Representation Learning with Contrastive Predictive Coding (2018), equation 4; both directions: Radford et al., CLIP (2021).
 */
export function infoNce(graph: Graph, a: Value, b: Value, temperature = 0.07): Value {
  const [left, right] = [unitRows(graph, a), unitRows(graph, b)];
  const partners = indicesAlong(graph, a, 0);
  const direction = (from: Value, to: Value): Value => crossEntropy(graph, times(graph, gemm(graph, from, to, { transB: true }), 1 / temperature), partners);
  return times(graph, add(graph, direction(left, right), direction(right, left)), 0.5);
}

/**
 * Two views of each row against all others of both: cross-entropy over cosine similarities, oneself left out.
 *
 * a, b: [batch, size] → []. Source: Chen et al., SimCLR (2020), algorithm 1 (NT-Xent).
 */
export function ntXent(graph: Graph, a: Value, b: Value, temperature = 0.5): Value {
  const all = unitRows(graph, concat(graph, [a, b], 0)); // [2·rows, size]
  const scores = times(graph, gemm(graph, all, all, { transB: true }), 1 / temperature);
  const [rows, both] = [indicesAlong(graph, a, 0), indicesAlong(graph, all, 0)];
  const itself = where(graph, equal(graph, unsqueeze(graph, both, [0]), unsqueeze(graph, both, [1])), scalar(graph, -1e9), scalar(graph, 0));
  // Row k's partner is k + rows, and the other way round.
  const count = graph.node("Size", [rows], { datatype: "INT64", shape: [] });
  return crossEntropy(graph, add(graph, scores, itself), concat(graph, [add(graph, rows, count), rows], 0));
}

/**
 * Pairs: t·d² + (1-t)·max(0, margin - d)², d the distance, the mean of it.
 *
 * a, b: [batch, size]; together: f32 [batch], 1 where both belong together → []. Source: Hadsell, Chopra & LeCun, Dimensionality
 * Reduction by Learning an Invariant Mapping (2006), equation 4, without its halves.
 */
export function pairLoss(graph: Graph, a: Value, b: Value, together: Value, margin = 1): Value {
  const d = distance(graph, a, b);
  const apart = relu(graph, sub(graph, scalar(graph, margin), d));
  return meanOfAll(graph, add(graph, mul(graph, together, mul(graph, d, d)), mul(graph, sub(graph, scalar(graph, 1), together), mul(graph, apart, apart))));
}

/** max(0, d(anchor, positive) - d(anchor, negative) + margin), the mean of it. All: [batch, size] → []. Source: Schroff et al., FaceNet (2015), with distances that are not squared as torch.nn.TripletMarginLoss. */
export function tripletLoss(graph: Graph, anchor: Value, positive: Value, negative: Value, margin = 1): Value {
  if (!(margin >= 0)) throw new GraphError(`a margin of ${margin}: it must not be negative`);
  return meanOfAll(graph, relu(graph, add(graph, sub(graph, distance(graph, anchor, positive), distance(graph, anchor, negative)), scalar(graph, margin))));
}

/** Euclidean distance of rows: [batch, size] twice → [batch]. */
function distance(graph: Graph, a: Value, b: Value): Value {
  const difference = sub(graph, a, b);
  return same(graph, "Sqrt", add(graph, reduceSum(graph, mul(graph, difference, difference), [1]), scalar(graph, LENGTH_MIN)));
}
