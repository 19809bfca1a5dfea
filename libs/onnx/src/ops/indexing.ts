import type { Datatype, ElementValue } from "@servable/tensor";
import { tensorOf } from "@servable/tensor";
import type { Graph, Value } from "../graph.ts";
import { op } from "./op.ts";

/** ai.onnx::Gather along an axis: table [n, …] at indices [i] → [i, …]. */
export const gather = (graph: Graph, table: Value, indices: Value, axis = 0): Value => op(graph, "Gather", [table, indices], { axis });
/** ai.onnx::GatherElements: x at indices along an axis, one for each element of the result. */
export const gatherElements = (graph: Graph, x: Value, indices: Value, axis = 0): Value => op(graph, "GatherElements", [x, indices], { axis });
/** ai.onnx::GatherND: the last axis of the indices addresses leading axes of x. */
export const gatherNd = (graph: Graph, x: Value, indices: Value): Value => op(graph, "GatherND", [x, indices]);

/** ai.onnx::ScatterElements. Its sum is right on any number of threads, unlike that of ScatterND. */
export function scatterElements(graph: Graph, x: Value, indices: Value, updates: Value, { axis = 0, reduction = "none" }: { readonly axis?: number; readonly reduction?: "none" | "add" | "mul" | "max" | "min" } = {}): Value {
  return op(graph, "ScatterElements", [x, indices, updates], { axis, reduction });
}

/** ai.onnx::ScatterND without a reduction: onnxruntime loses updates of one on several threads. */
export const scatterNd = (graph: Graph, x: Value, indices: Value, updates: Value): Value => op(graph, "ScatterND", [x, indices, updates]);

/** ai.onnx::OneHot: 1 where the index says, on a new last axis. indices [..] → [.., depth]. */
export function oneHot(graph: Graph, indices: Value, depth: number, datatype: Datatype = "FP32"): Value {
  return op(graph, "OneHot", [indices, graph.constant("INT64", [1], [BigInt(depth)]), graph.constant(datatype, [2], [0, 1])], { axis: -1 });
}

/** ai.onnx::Range: from start by delta to before limit, all scalars. */
export const range = (graph: Graph, start: Value, limit: Value, delta: Value): Value => op(graph, "Range", [start, limit, delta]);

/** ai.onnx::ConstantOfShape: a tensor of one value, of sizes that an INT64 operand states. */
export const constantOfShape = (graph: Graph, sizes: Value, datatype: Datatype, value: ElementValue): Value => op(graph, "ConstantOfShape", [sizes], { value: { tensor: tensorOf(datatype, [1], [value]) } });

/** ai.onnx::Trilu: the upper (or lower) triangle of matrices, shifted by k. */
export const trilu = (graph: Graph, x: Value, upper: boolean, k = 0): Value => op(graph, "Trilu", k === 0 ? [x] : [x, graph.constant("INT64", [], [BigInt(k)])], { upper: upper ? 1 : 0 });

/** ai.onnx::NonZero: [rank, count]. */
export const nonZero = (graph: Graph, x: Value): Value => op(graph, "NonZero", [x]);
