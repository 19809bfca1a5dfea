import type { Graph, Value } from "../graph.ts";
import { op, ops } from "./op.ts";

/** Values of each channel of a {@link batchNormalization}, all [channels]. */
export interface BatchStatistics {
  readonly scale: Value;
  readonly bias: Value;
  readonly mean: Value;
  readonly variance: Value;
}

/** ai.onnx::BatchNormalization as at inference, by given statistics: x [n, c, …]. */
export function batchNormalization(graph: Graph, x: Value, { scale, bias, mean, variance }: BatchStatistics, epsilon = 1e-5): Value {
  return op(graph, "BatchNormalization", [x, scale, bias, mean, variance], { epsilon: { float: epsilon } });
}

/** What batch normalisation gives while it trains. */
export interface TrainedBatch {
  readonly output: Value;
  /** The batch's own, [channels]. */
  readonly mean: Value;
  /** The batch's own, divided by n and not by n - 1, [channels]. */
  readonly variance: Value;
}

/**
 * ai.onnx@14::BatchNormalization with `training_mode`: by the batch's own statistics, which come out; running ones are the
 * caller's business.
 *
 * onnxruntime 1.30 writes the operator's running statistics over those that it is given, also where these are inputs that the
 * caller feeds or that other nodes read later. So it is given copies that nobody else reads, and forgets them: momentum is 0.
 */
export function trainingBatchNormalization(graph: Graph, x: Value, { scale, bias, mean, variance }: BatchStatistics, { epsilon = 1e-5 }: { readonly epsilon?: number } = {}): TrainedBatch {
  const copies = [mean, variance].map((value) => op(graph, "Neg", [value]));
  const [output, batchMean, batchVariance] = ops(graph, "BatchNormalization", [x, scale, bias, ...copies], { epsilon: { float: epsilon }, momentum: { float: 0 }, training_mode: 1 }, { outputCount: 3 }) as [Value, Value, Value];
  return { output, mean: batchMean, variance: batchVariance };
}

/** ai.onnx@17::LayerNormalization over the axes from `axis` on. */
export function layerNormalization(graph: Graph, x: Value, scale: Value, bias?: Value, { axis = -1, epsilon = 1e-5 }: { readonly axis?: number; readonly epsilon?: number } = {}): Value {
  return op(graph, "LayerNormalization", [x, scale, bias], { axis, epsilon: { float: epsilon } });
}

/** ai.onnx@23::RMSNormalization over the axes from `axis` on; raises the graph's opset. */
export function rmsNormalization(graph: Graph, x: Value, scale: Value, { axis = -1, epsilon = 1e-5 }: { readonly axis?: number; readonly epsilon?: number } = {}): Value {
  graph.requireOpset(23);
  return op(graph, "RMSNormalization", [x, scale], { axis, epsilon: { float: epsilon } });
}

/** ai.onnx::InstanceNormalization: each channel of each element by itself; scale and bias [channels]. */
export const instanceNormalization = (graph: Graph, x: Value, scale: Value, bias: Value, epsilon = 1e-5): Value => op(graph, "InstanceNormalization", [x, scale, bias], { epsilon: { float: epsilon } });

/** ai.onnx@21::GroupNormalization: channels in groups; scale and bias [channels]. */
export const groupNormalization = (graph: Graph, x: Value, scale: Value, bias: Value, groups: number, epsilon = 1e-5): Value => op(graph, "GroupNormalization", [x, scale, bias], { num_groups: groups, epsilon: { float: epsilon } });

/** ai.onnx::LpNormalization: divided by the length along an axis. */
export const lpNormalization = (graph: Graph, x: Value, axis = -1, p: 1 | 2 = 2): Value => op(graph, "LpNormalization", [x], { axis, p });
