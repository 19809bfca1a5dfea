import type { Graph, Value } from "../graph.ts";
import { op, ops } from "./op.ts";

/** Reduces axes, which may count from the end; without any, all of them. */
function reduce(graph: Graph, opType: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
  return op(graph, opType, [x, graph.constant("INT64", [axes.length], axes.map(BigInt))], { keepdims: keepDims ? 1 : 0 });
}

const every = (x: Value): number[] => x.shape.map((_, axis) => axis);

/** ai.onnx::ReduceSum. */
export const reduceSum = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceSum", x, axes, keepDims);
/** ai.onnx::ReduceMean. */
export const reduceMean = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceMean", x, axes, keepDims);
/** ai.onnx::ReduceMax. */
export const reduceMax = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceMax", x, axes, keepDims);
/** ai.onnx::ReduceMin. */
export const reduceMin = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceMin", x, axes, keepDims);
/** ai.onnx::ReduceProd. */
export const reduceProd = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceProd", x, axes, keepDims);
/** ai.onnx::ReduceL1: Σ|x|. */
export const reduceL1 = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceL1", x, axes, keepDims);
/** ai.onnx::ReduceL2: √Σx². */
export const reduceL2 = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceL2", x, axes, keepDims);
/** ai.onnx::ReduceSumSquare: Σx². */
export const reduceSumSquare = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceSumSquare", x, axes, keepDims);
/** ai.onnx::ReduceLogSumExp: log Σeˣ. */
export const reduceLogSumExp = (graph: Graph, x: Value, axes: readonly number[] = every(x), keepDims = false): Value => reduce(graph, "ReduceLogSumExp", x, axes, keepDims);

/** ai.onnx::ArgMax → INT64; the axis goes unless it is kept with size 1. */
export const argMax = (graph: Graph, x: Value, axis: number, keepDims = false): Value => op(graph, "ArgMax", [x], { axis, keepdims: keepDims ? 1 : 0 });
/** ai.onnx::ArgMin → INT64. */
export const argMin = (graph: Graph, x: Value, axis: number, keepDims = false): Value => op(graph, "ArgMin", [x], { axis, keepdims: keepDims ? 1 : 0 });

/** ai.onnx::CumSum along an axis. */
export function cumSum(graph: Graph, x: Value, axis: number, { exclusive = false, reverse = false }: { readonly exclusive?: boolean; readonly reverse?: boolean } = {}): Value {
  return op(graph, "CumSum", [x, graph.constant("INT64", [], [BigInt(axis)])], { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 });
}

/** ai.onnx::TopK: the k largest along an axis, in order, and where they stand (INT64). */
export function topK(graph: Graph, x: Value, k: number, axis = -1): { values: Value; indices: Value } {
  const [values, indices] = ops(graph, "TopK", [x, graph.constant("INT64", [1], [BigInt(k)])], { axis }, { outputCount: 2 }) as [Value, Value];
  return { values, indices };
}
