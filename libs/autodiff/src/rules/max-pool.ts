// MaxPool's gradient goes to the first maximum of each window, as PyTorch's does: windows of equal elements are common, e.g. the
// background of a drawing. The Indices output tells where it is, but makes onnxruntime's MaxPool ten times slower (7 ms against
// 0.7 on [64, 32, 28, 28]), so where windows do not overlap the maxima are found again by comparing: 4 ms against 5.6 in all.

import { GraphError, cast, equal, intAttribute, intsAttribute, mul, windowOf, type Graph, type Value, type Window, ELEMENT_TYPES } from "@servable/onnx";
import { ints, operands, sameAs, sizesOf, type Rule, type RuleContext } from "./rule.ts";
import { scatterFlat } from "./scatter-flat.ts";

/** ai.onnx::MaxPool */
export const maxPool: Rule = (context) => {
  const { graph, node, upstream } = context;
  const { a: x, y } = operands(context);
  const window = windowOf(node, x.shape.slice(2), intsAttribute(node, "kernel_shape") ?? []);
  const apart = window.kernel.every((size, axis) => (window.strides[axis] ?? 1) >= (size ?? Infinity) && window.dilations[axis] === 1 && window.padsBefore[axis] === 0 && window.padsAfter[axis] === 0);
  if (apart && x.datatype === "FP32" && tiles(x, window)) return [byComparing(context, x, y, window.kernel as number[])];
  if (intAttribute(node, "storage_order", 0) !== 0) throw new GraphError("storage_order 1 has no gradient");
  const indices = graph.optionalOutput(node, 1, { datatype: "INT64", shape: y.shape });
  // Windows that do not overlap need no sum: MaxUnpool is several times faster then. It cannot reach over the end.
  if (apart && x.datatype === "FP32" && intAttribute(node, "ceil_mode", 0) === 0) return [graph.node("MaxUnpool", [upstream, indices, sizesOf(graph, x)], { datatype: x.datatype, shape: x.shape }, { kernel_shape: window.kernel as number[], strides: [...window.strides] })];
  return [scatterFlat(graph, upstream, indices, x)];
};

/** Whether windows cover an image without a rest. */
export function tiles(x: Value, { kernel, strides }: Window): boolean {
  return kernel.length === 2 && kernel.every((size, axis) => size !== undefined && strides[axis] === size && typeof x.shape[axis + 2] === "number" && Number(x.shape[axis + 2]) % size === 0);
}

/**
 * Maxima are where x equals the window's largest. Ranks within a window, the first highest, make one of several that tie the
 * only maximum of a second pool.
 */
function byComparing({ graph, node, upstream }: RuleContext, x: Value, y: Value, [rows = 1, columns = 1]: readonly number[]): Value {
  const over = (value: Value): Value => spread(graph, value, [rows, columns], x);
  const same = (a: Value, b: Value): Value => cast(graph, equal(graph, a, b), x.datatype, ELEMENT_TYPES[x.datatype]);
  const ranked = mul(graph, same(x, over(y)), ranks(graph, x, rows, columns));
  const first = sameAs(graph, "MaxPool", [ranked], y, { kernel_shape: [rows, columns], strides: [rows, columns], ...(intAttribute(node, "ceil_mode", 0) === 1 ? { ceil_mode: 1 } : {}) });
  return mul(graph, same(ranked, over(first)), over(upstream));
}

/** A value of each window at all of its pixels: nearest Resize takes 0.3 ms for 1.6 million. */
export function spread(graph: Graph, value: Value, kernel: readonly number[], x: Value): Value {
  return graph.node("Resize", [value, undefined, graph.constant("FP32", [4], [1, 1, ...kernel])], { datatype: x.datatype, shape: x.shape }, { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" });
}

/** n, n-1, …, 1 over each window: [1, 1, H, W]. Windows without any maximum (NaN) have rank 0 everywhere, and spread NaN as before. */
function ranks(graph: Graph, x: Value, rows: number, columns: number): Value {
  const count = rows * columns;
  const one = graph.constant(x.datatype, [1, 1, rows, columns], Array.from({ length: count }, (_, index) => count - index));
  const repeats = [1, 1, Number(x.shape[2]) / rows, Number(x.shape[3]) / columns];
  return graph.node("Tile", [one, ints(graph, repeats)], { datatype: x.datatype, shape: [1, 1, x.shape[2] ?? 1, x.shape[3] ?? 1] });
}
