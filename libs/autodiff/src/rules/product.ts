import { broadcastShapes, gemm, op, type Value } from "@servable/onnx";
import type { RuleContext } from "./rule.ts";

/** How factors are taken. */
export interface ProductOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/**
 * a'·b' of matrices or batches of them: one Gemm, or com.microsoft::FusedMatMul, which transposes without a copy. Where
 * operators of onnxruntime's own are not wanted, Transpose and MatMul.
 */
export function product({ graph, contrib }: Pick<RuleContext, "graph" | "contrib">, a: Value, b: Value, { transA = false, transB = false }: ProductOptions = {}): Value {
  if (a.shape.length === 2 && b.shape.length === 2) return gemm(graph, a, b, { transA, transB });
  const rows = a.shape.at(transA ? -1 : -2) ?? 1;
  const columns = b.shape.at(transB ? -2 : -1) ?? 1;
  const type = { datatype: a.datatype, shape: [...broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns] };
  if (!transA && !transB) return graph.node("MatMul", [a, b], type);
  if (contrib) return graph.node("FusedMatMul", [a, b], type, { transA: transA ? 1 : 0, transB: transB ? 1 : 0 }, "com.microsoft");
  const turned = (x: Value, turn: boolean): Value => (turn ? op(graph, "Transpose", [x], { perm: [...x.shape.keys()].map((axis) => (axis < x.shape.length - 2 ? axis : 2 * x.shape.length - 3 - axis)) }) : x);
  return graph.node("MatMul", [turned(a, transA), turned(b, transB)], type);
}
