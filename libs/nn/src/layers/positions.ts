import { reshape, type Value } from "@servable/onnx";
import type { Scope } from "../scope.ts";

/**
 * 0, 1, 2, … along an axis of another value: INT64 [sequence]. A constant where the size is known, else nodes that ask for it
 * when the graph runs.
 */
export function positionsOf({ graph }: Scope, like: Value, axis: number): Value {
  const at = axis < 0 ? axis + like.shape.length : axis;
  const length = like.shape[at] ?? 1;
  if (typeof length === "number") return graph.constant("INT64", [length], Array.from({ length }, (_, index) => BigInt(index)));
  const count = reshape(graph, graph.node("Shape", [like], { datatype: "INT64", shape: [1] }, { start: at, end: at + 1 }), []);
  return graph.node("Range", [graph.constant("INT64", [], [0n]), count, graph.constant("INT64", [], [1n])], { datatype: "INT64", shape: [length] });
}
