// Nodes that layers are made of, with their shapes worked out. Sizes may be names ("batch") in a graph that is served, so no
// node here needs to know more than which axes stay.

import { GraphError, broadcastShapes, type Dimension, type Graph, type Value } from "@servable/onnx";

/** A number of the datatype of another value. */
export const scalar = (graph: Graph, value: number): Value => graph.constant("FP32", [], [value]);

/** value · number */
export const times = (graph: Graph, x: Value, factor: number): Value => (factor === 1 ? x : graph.node("Mul", [x, scalar(graph, factor)], { datatype: x.datatype, shape: x.shape }));

/** Whole numbers as an operand. */
export const ints = (graph: Graph, values: readonly number[]): Value => graph.constant("INT64", [values.length], values.map(BigInt));

/** A node of one operand that keeps shape and datatype. */
export const same = (graph: Graph, opType: string, x: Value, attributes: Parameters<Graph["node"]>[3] = {}): Value => graph.node(opType, [x], { datatype: x.datatype, shape: x.shape }, attributes);

/** ai.onnx::MatMul of batches of matrices: a [… m, k] · b [… k, n] → [… m, n]. @throws GraphError */
export function batchedMatMul(graph: Graph, a: Value, b: Value): Value {
  const [rows, inner, inner2, columns] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-2), b.shape.at(-1)];
  if (rows === undefined || columns === undefined || inner !== inner2) throw new GraphError(`MatMul of [${a.shape.join()}] and [${b.shape.join()}]: the inner sizes differ`);
  return graph.node("MatMul", [a, b], { datatype: a.datatype, shape: [...broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns] });
}

/** ai.onnx::Transpose by a permutation of the axes. */
export function permute(graph: Graph, x: Value, perm: readonly number[]): Value {
  return graph.node("Transpose", [x], { datatype: x.datatype, shape: perm.map((axis) => x.shape[axis] ?? 1) }, { perm: [...perm] });
}

/**
 * Reshapes where the first `kept` axes stay as they are and the others become `rest`.
 *
 * @example splitting heads: reshapeBehind(graph, x, 2, [4, 32]) // [batch, sequence, 128] → [batch, sequence, 4, 32]
 */
export function reshapeBehind(graph: Graph, x: Value, kept: number, rest: readonly number[]): Value {
  const target = ints(graph, [...x.shape.slice(0, kept).map((size) => (typeof size === "number" ? size : 0)), ...rest]);
  return graph.node("Reshape", [x, target], { datatype: x.datatype, shape: [...x.shape.slice(0, kept), ...rest] });
}

/** All axes but the last ones laid out in one: [batch, sequence, size] → [batch·sequence, size]. */
export function stacked(graph: Graph, x: Value, keptBehind = 1): Value {
  const front = x.shape.slice(0, x.shape.length - keptBehind);
  const behind = x.shape.slice(x.shape.length - keptBehind);
  if (front.length === 1) return x;
  if (behind.some((size) => typeof size !== "number")) throw new GraphError(`"${x.name}" [${x.shape.join()}]: the last sizes must be known`);
  const rows: Dimension = front.every((size) => typeof size === "number") ? front.reduce((product, size) => product * size, 1) : front.join("*");
  return graph.node("Reshape", [x, ints(graph, [typeof rows === "number" ? rows : -1, ...(behind as number[])])], { datatype: x.datatype, shape: [rows, ...behind] });
}

/** The inverse of {@link stacked}: [rows, size] back to the front axes of `like` and its own last one. */
export function unstacked(graph: Graph, x: Value, like: Value): Value {
  const front = like.shape.slice(0, -1);
  if (front.length === 1) return x;
  const size = x.shape.at(-1);
  const shape = [...front, size ?? 1];
  if (typeof size !== "number") throw new GraphError(`"${x.name}" [${x.shape.join()}]: the last size must be known`);
  const names = front.filter((each) => typeof each !== "number").length;
  if (names <= 1) return graph.node("Reshape", [x, ints(graph, [...front.map((each) => (typeof each === "number" ? each : -1)), size])], { datatype: x.datatype, shape });
  const sizes = graph.node("Shape", [like], { datatype: "INT64", shape: [front.length] }, { start: 0, end: front.length });
  const target = graph.node("Concat", [sizes, ints(graph, [size])], { datatype: "INT64", shape: [front.length + 1] }, { axis: 0 });
  return graph.node("Reshape", [x, target], { datatype: x.datatype, shape });
}

/** ai.onnx::Slice along one axis, start … before end. */
export function slice(graph: Graph, x: Value, axis: number, start: number, end: number): Value {
  return graph.node("Slice", [x, ints(graph, [start]), ints(graph, [end]), ints(graph, [axis])], { datatype: x.datatype, shape: x.shape.map((size, at) => (at === axis ? end - start : size)) });
}

/** ai.onnx::Split into equal parts along the last axis. */
export function splitLast(graph: Graph, x: Value, parts: number): Value[] {
  const size = x.shape.at(-1);
  if (typeof size !== "number" || size % parts !== 0) throw new GraphError(`[${x.shape.join()}] does not split into ${parts}`);
  const shape = [...x.shape.slice(0, -1), size / parts];
  return graph.nodeOf("Split", [x], Array.from({ length: parts }, () => ({ datatype: x.datatype, shape })), { axis: -1, num_outputs: parts }) as Value[];
}

/** ai.onnx::Unsqueeze: new axes of size 1 at these places of the result. */
export function unsqueeze(graph: Graph, x: Value, axes: readonly number[]): Value {
  const shape: Dimension[] = [...x.shape];
  for (const axis of [...axes].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
  return graph.node("Unsqueeze", [x, ints(graph, axes)], { datatype: x.datatype, shape });
}

/** ai.onnx::Squeeze of an axis of size 1. */
export function squeeze(graph: Graph, x: Value, axis: number): Value {
  return graph.node("Squeeze", [x, ints(graph, [axis])], { datatype: x.datatype, shape: x.shape.filter((_, at) => at !== axis) });
}

/** A size that a layer's parameters depend on. @throws GraphError */
export function sizeOf(x: Value, axis: number): number {
  const size = x.shape.at(axis);
  if (typeof size !== "number") throw new GraphError(`the size of axis ${axis} of "${x.name}" [${x.shape.join()}] must be known`);
  return size;
}

/** 0, 1, 2, … along an axis of another value: INT64 [size], a constant where the size is known. */
export function indicesAlong(graph: Graph, like: Value, axis: number): Value {
  const at = axis < 0 ? axis + like.shape.length : axis;
  const length = like.shape[at] ?? 1;
  if (typeof length === "number") return graph.constant("INT64", [length], Array.from({ length }, (_, index) => BigInt(index)));
  const sizes = graph.node("Shape", [like], { datatype: "INT64", shape: [1] }, { start: at, end: at + 1 });
  const count = graph.node("Squeeze", [sizes, ints(graph, [0])], { datatype: "INT64", shape: [] });
  return graph.node("Range", [graph.constant("INT64", [], [0n]), count, graph.constant("INT64", [], [1n])], { datatype: "INT64", shape: [length] });
}
