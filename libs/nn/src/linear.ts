import { gemm, type Graph, type Value } from "@servable/onnx";

/** x·w + b. x: [batch, in], weight: [in, out], bias: [out] → [batch, out]. */
export function linear(graph: Graph, x: Value, weight: Value, bias: Value): Value {
  return gemm(graph, x, weight, { c: bias });
}
