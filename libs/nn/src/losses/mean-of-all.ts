import { reduceMean, type Graph, type Value } from "@servable/onnx";

/** The mean of every element: [] of any shape. */
export const meanOfAll = (graph: Graph, x: Value): Value => (x.shape.length === 0 ? x : reduceMean(graph, x, x.shape.map((_, axis) => axis)));
