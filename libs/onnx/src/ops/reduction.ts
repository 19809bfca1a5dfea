import { type Graph, type Value } from "../graph.ts";

function reduce(graph: Graph, opType: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
  const reduced = new Set(axes);
  const shape = keepDims ? x.shape.map((dimension, axis) => (reduced.has(axis) ? 1 : dimension)) : x.shape.filter((_, axis) => !reduced.has(axis));
  const operand = graph.constant("INT64", [axes.length], axes.map(BigInt));
  return graph.node(opType, [x, operand], { datatype: x.datatype, shape }, { keepdims: keepDims ? 1 : 0 });
}

/** ai.onnx::ReduceSum over non-negative axes. */
export const reduceSum = (graph: Graph, x: Value, axes: readonly number[], keepDims = false): Value => reduce(graph, "ReduceSum", x, axes, keepDims);
/** ai.onnx::ReduceMean over non-negative axes. */
export const reduceMean = (graph: Graph, x: Value, axes: readonly number[], keepDims = false): Value => reduce(graph, "ReduceMean", x, axes, keepDims);

/** ai.onnx::ArgMax → INT64, without the axis. */
export function argMax(graph: Graph, x: Value, axis: number): Value {
  return graph.node("ArgMax", [x], { datatype: "INT64", shape: x.shape.filter((_, index) => index !== axis) }, { axis, keepdims: 0 });
}
