import type { Value } from "@servable/onnx";
import { normal } from "../initializers.ts";
import type { Initializer, Scope } from "../scope.ts";

/**
 * Rows of a table. ids: INT64 or INT32 [batch, sequence] → [batch, sequence, size].
 *
 * Parameter as torch.nn.Embedding: weight [count, size], normal of deviation 1 unless told otherwise.
 */
export function embedding(nn: Scope, ids: Value, count: number, size: number, initialize: Initializer = normal(1)): Value {
  const table = nn.parameter("weight", [count, size], initialize);
  return nn.graph.node("Gather", [table, ids], { datatype: "FP32", shape: [...ids.shape, size] }, { axis: 0 });
}
