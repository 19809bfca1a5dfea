import { type Graph, type Value } from "../graph.ts";

const same = (graph: Graph, opType: string, x: Value, attributes: Record<string, number> = {}): Value => graph.node(opType, [x], { datatype: x.datatype, shape: x.shape }, attributes);

/** ai.onnx::Relu. */
export const relu = (graph: Graph, x: Value): Value => same(graph, "Relu", x);
/** ai.onnx::Sigmoid. */
export const sigmoid = (graph: Graph, x: Value): Value => same(graph, "Sigmoid", x);
/** ai.onnx::Tanh. */
export const tanh = (graph: Graph, x: Value): Value => same(graph, "Tanh", x);
/** ai.onnx::Softplus: log(1 + e^x). */
export const softplus = (graph: Graph, x: Value): Value => same(graph, "Softplus", x);
/** ai.onnx::Softmax over the last axis. */
export const softmax = (graph: Graph, x: Value): Value => same(graph, "Softmax", x, { axis: -1 });
/** ai.onnx::LogSoftmax over the last axis. */
export const logSoftmax = (graph: Graph, x: Value): Value => same(graph, "LogSoftmax", x, { axis: -1 });
