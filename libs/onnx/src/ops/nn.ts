import type { Graph, Value } from "../graph.ts";
import { mul } from "./math.ts";
import { op } from "./op.ts";

/** ai.onnx::Relu. */
export const relu = (graph: Graph, x: Value): Value => op(graph, "Relu", [x]);
/** ai.onnx::LeakyRelu: α·x below zero. */
export const leakyRelu = (graph: Graph, x: Value, alpha = 0.01): Value => op(graph, "LeakyRelu", [x], { alpha: { float: alpha } });
/** ai.onnx::PRelu: slope·x below zero; the slope broadcasts to x. */
export const prelu = (graph: Graph, x: Value, slope: Value): Value => op(graph, "PRelu", [x, slope]);
/** ai.onnx::Elu: α·(eˣ - 1) below zero. */
export const elu = (graph: Graph, x: Value, alpha = 1): Value => op(graph, "Elu", [x], { alpha: { float: alpha } });
/** ai.onnx::Selu with its own α and γ. */
export const selu = (graph: Graph, x: Value): Value => op(graph, "Selu", [x]);
/** ai.onnx::Sigmoid. */
export const sigmoid = (graph: Graph, x: Value): Value => op(graph, "Sigmoid", [x]);
/** ai.onnx::HardSigmoid: α·x + β within [0, 1]. */
export const hardSigmoid = (graph: Graph, x: Value, alpha = 0.2, beta = 0.5): Value => op(graph, "HardSigmoid", [x], { alpha: { float: alpha }, beta: { float: beta } });
/** ai.onnx::HardSwish. */
export const hardSwish = (graph: Graph, x: Value): Value => op(graph, "HardSwish", [x]);
/** ai.onnx::Tanh. */
export const tanh = (graph: Graph, x: Value): Value => op(graph, "Tanh", [x]);
/** ai.onnx::Softplus: log(1 + e^x). */
export const softplus = (graph: Graph, x: Value): Value => op(graph, "Softplus", [x]);
/** ai.onnx::Softsign: x/(1 + |x|). */
export const softsign = (graph: Graph, x: Value): Value => op(graph, "Softsign", [x]);
/** ai.onnx::Mish: x·tanh(softplus(x)). */
export const mish = (graph: Graph, x: Value): Value => op(graph, "Mish", [x]);
/** x·sigmoid(x), also called Swish. */
export const silu = (graph: Graph, x: Value): Value => mul(graph, x, sigmoid(graph, x));
/** ai.onnx@20::Gelu by the error function, or approximated by tanh. */
export const gelu = (graph: Graph, x: Value, approximate: "none" | "tanh" = "none"): Value => op(graph, "Gelu", [x], { approximate });
/** com.microsoft::QuickGelu: x·sigmoid(α·x). */
export const quickGelu = (graph: Graph, x: Value, alpha = 1.702): Value => op(graph, "QuickGelu", [x], { alpha: { float: alpha } }, { domain: "com.microsoft" });
/** ai.onnx::Softmax over one axis. */
export const softmax = (graph: Graph, x: Value, axis = -1): Value => op(graph, "Softmax", [x], { axis });
/** ai.onnx::LogSoftmax over one axis. */
export const logSoftmax = (graph: Graph, x: Value, axis = -1): Value => op(graph, "LogSoftmax", [x], { axis });
