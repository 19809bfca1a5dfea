import { GraphError, type Dimension, type Graph, type Value } from "../graph.ts";

/** ai.onnx::Reshape; at most one dimension may be named: it is inferred. */
export function reshape(graph: Graph, x: Value, shape: readonly Dimension[]): Value {
  if (shape.filter((dimension) => typeof dimension === "string").length > 1) throw new GraphError(`Reshape to [${shape.join()}]: at most one dimension may vary`);
  const target = graph.constant("INT64", [shape.length], shape.map((dimension) => (typeof dimension === "number" ? BigInt(dimension) : -1n)));
  return graph.node("Reshape", [x, target], { datatype: x.datatype, shape });
}

/** ai.onnx::Concat. */
export function concat(graph: Graph, parts: readonly Value[], axis: number): Value {
  const [first] = parts;
  if (first === undefined) throw new GraphError("Concat of nothing");
  const size = parts.reduce<Dimension>((sum, { shape }) => (typeof sum === "number" && typeof shape[axis] === "number" ? sum + shape[axis] : "concat"), 0);
  return graph.node("Concat", parts, { datatype: first.datatype, shape: first.shape.map((dimension, index) => (index === axis ? size : dimension)) }, { axis });
}

/** ai.onnx::Transpose of a matrix. */
export function transpose(graph: Graph, x: Value): Value {
  return graph.node("Transpose", [x], { datatype: x.datatype, shape: [...x.shape].reverse() }, { perm: x.shape.map((_, axis) => x.shape.length - 1 - axis) });
}

/** ai.onnx::Gather along axis 0: table [n, …] at indices [i] → [i, …]. */
export function gather(graph: Graph, table: Value, indices: Value): Value {
  return graph.node("Gather", [table, indices], { datatype: table.datatype, shape: [...indices.shape, ...table.shape.slice(1)] }, { axis: 0 });
}

/** ai.onnx::Expand to the shape of another value. */
export function expandLike(graph: Graph, x: Value, like: Value): Value {
  const shape = graph.node("Shape", [like], { datatype: "INT64", shape: [like.shape.length] });
  return graph.node("Expand", [x, shape], { datatype: x.datatype, shape: like.shape });
}
