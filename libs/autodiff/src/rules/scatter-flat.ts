import { type Graph, type Value } from "@servable/onnx";
import { ints, reshapeLike, reshapeTo, sizesOf, zerosLike } from "./rule.ts";

/** g added at flat indices into zeros shaped like x. ScatterElements, not ScatterND: onnxruntime's adding ScatterND loses updates when it runs on several threads. */
export function scatterFlat(graph: Graph, g: Value, indices: Value, x: Value): Value {
  const flat = (value: Value): Value => reshapeTo(graph, value, ints(graph, [-1]), ["?flat"]);
  const zeros = flat(zerosLike(graph, x));
  const summed = graph.node("ScatterElements", [zeros, flat(indices), flat(g)], { datatype: x.datatype, shape: zeros.shape }, { axis: 0, reduction: "add" });
  return x.shape.every((size) => typeof size === "number") ? reshapeLike(graph, summed, x) : reshapeTo(graph, summed, sizesOf(graph, x), x.shape);
}
