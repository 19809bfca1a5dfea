import { ELEMENT_TYPES, GraphError, add, cast, div, equal, exp, gather, logSoftmax, mul, neg, reduceMean, reduceSum, reshape, sub, where, type Graph, type Value } from "@servable/onnx";
import { ints, scalar, sizeOf, stacked, times, unsqueeze } from "../nodes.ts";

/** Settings of a cross-entropy. */
export interface CrossEntropyOptions {
  /** How much of the target is spread evenly over all classes. @default 0 */
  readonly labelSmoothing?: number;
  /** Rows of this label count nowhere. @default -100 */
  readonly ignoreIndex?: number;
  /** A weight for each class; the mean is then weighted. */
  readonly classWeights?: readonly number[];
}

/**
 * Mean cross-entropy from logits against labels, as torch.nn.functional.cross_entropy.
 *
 * logits: [… classes] f32, labels: INT64 or INT32 [… ] → []. Where every row is ignored the result is NaN, as there.
 *
 * Source of the smoothing: Szegedy et al., Rethinking the Inception Architecture (2016), section 7.
 */
export function crossEntropy(graph: Graph, logits: Value, labels: Value, { labelSmoothing = 0, ignoreIndex = -100, classWeights }: CrossEntropyOptions = {}): Value {
  const classes = sizeOf(logits, -1);
  if (classWeights !== undefined && classWeights.length !== classes) throw new GraphError(`${classWeights.length} class weights for ${classes} classes`);
  const rows = stacked(graph, logits); // [rows, classes]
  const flat = labels.shape.length === 1 ? labels : graph.node("Reshape", [labels, ints(graph, [-1])], { datatype: labels.datatype, shape: [rows.shape[0] ?? 1] });
  const weights = classWeights && graph.constant("FP32", [classes], classWeights);
  if (labelSmoothing !== 0) return smoothed(graph, rows, flat, classes, labelSmoothing, ignoreIndex, weights);
  // One operator, whose gradient is one expression of the probabilities.
  const inputs = weights === undefined ? [rows, flat] : [rows, flat, weights];
  return graph.node("SoftmaxCrossEntropyLoss", inputs, { datatype: logits.datatype, shape: [] }, { reduction: "mean", ignore_index: ignoreIndex });
}

function smoothed(graph: Graph, rows: Value, labels: Value, classes: number, smoothing: number, ignoreIndex: number, weights: Value | undefined): Value {
  const ignored = equal(graph, labels, graph.constant(labels.datatype, [], labels.datatype === "INT64" ? [BigInt(ignoreIndex)] : [ignoreIndex]));
  const zero = graph.constant(labels.datatype, [], labels.datatype === "INT64" ? [0n] : [0]);
  const safe = where(graph, ignored, zero, labels);
  const counted = sub(graph, scalar(graph, 1), cast(graph, ignored, "FP32", ELEMENT_TYPES.FP32)); // [rows], 1 or 0
  const rowWeights = weights === undefined ? counted : mul(graph, counted, gather(graph, weights, safe));
  const logProbabilities = logSoftmax(graph, rows);
  const picked = graph.node("GatherElements", [logProbabilities, unsqueeze(graph, safe, [1])], { datatype: "FP32", shape: [rows.shape[0] ?? 1, 1] }, { axis: 1 });
  const truth = mul(graph, rowWeights, reshapeFlat(graph, picked, rows)); // [rows]
  const spread = mul(graph, counted, reduceSum(graph, weights === undefined ? logProbabilities : mul(graph, logProbabilities, weights), [1]));
  const sum = add(graph, times(graph, reduceSum(graph, truth, [0]), 1 - smoothing), times(graph, reduceSum(graph, spread, [0]), smoothing / classes));
  return neg(graph, div(graph, sum, reduceSum(graph, rowWeights, [0])));
}

/** Settings of a focal loss over classes. */
export interface SoftmaxFocalOptions {
  /** How much less easy rows count. @default 2 */
  readonly gamma?: number;
  /** A weight for each class. */
  readonly classWeights?: readonly number[];
}

/**
 * Mean focal loss from logits against labels: w·(1-p)^γ·(-log p), p the probability of the truth.
 *
 * logits: [… classes] f32, labels: INT64 or INT32 [… ] → []. Source: Lin et al., Focal Loss for Dense Object Detection (2017).
 */
export function softmaxFocalLoss(graph: Graph, logits: Value, labels: Value, { gamma = 2, classWeights }: SoftmaxFocalOptions = {}): Value {
  const classes = sizeOf(logits, -1);
  if (classWeights !== undefined && classWeights.length !== classes) throw new GraphError(`${classWeights.length} class weights for ${classes} classes`);
  const rows = stacked(graph, logits);
  const flat = labels.shape.length === 1 ? labels : graph.node("Reshape", [labels, ints(graph, [-1])], { datatype: labels.datatype, shape: [rows.shape[0] ?? 1] });
  const picked = graph.node("GatherElements", [logSoftmax(graph, rows), unsqueeze(graph, flat, [1])], { datatype: "FP32", shape: [rows.shape[0] ?? 1, 1] }, { axis: 1 });
  const truth = reshapeFlat(graph, picked, rows); // [rows], log p
  const missing = sub(graph, scalar(graph, 1), exp(graph, truth));
  const easy = gamma === 2 ? mul(graph, missing, missing) : graph.node("Pow", [missing, scalar(graph, gamma)], { datatype: "FP32", shape: missing.shape });
  const perRow = mul(graph, easy, truth);
  return neg(graph, reduceMean(graph, classWeights === undefined ? perRow : mul(graph, perRow, gather(graph, graph.constant("FP32", [classes], classWeights), flat)), [0]));
}

const reshapeFlat = (graph: Graph, x: Value, rows: Value): Value => graph.node("Reshape", [x, ints(graph, [-1])], { datatype: x.datatype, shape: [rows.shape[0] ?? 1] });

/**
 * Mean cross-entropy from logits against probabilities, e.g. one-hot or mixed targets.
 *
 * logits, targets: [batch, classes], f32 → []. Its gradient is (softmax(z) - t)/batch.
 */
export function softmaxCrossEntropy(graph: Graph, logits: Value, targets: Value): Value {
  const perRow = neg(graph, reduceSum(graph, mul(graph, targets, logSoftmax(graph, logits)), [1])); // [batch]
  return reshape(graph, reduceMean(graph, perRow, [0]), []);
}
