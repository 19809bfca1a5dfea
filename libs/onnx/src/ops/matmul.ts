import type { Graph, Value } from "../graph.ts";
import { op } from "./op.ts";

/** ai.onnx::MatMul: a [.., m, k] · b [.., k, n] → [.., m, n]; leading axes broadcast, a vector is a row on the left and a column on the right. */
export const matMul = (graph: Graph, a: Value, b: Value): Value => op(graph, "MatMul", [a, b]);

/** What a product of matrices may do besides. */
export interface GemmOptions {
  /** Added, broadcast to the product. */
  readonly c?: Value;
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** @default 1 */
  readonly alpha?: number;
  /** Factor of c. @default 1 */
  readonly beta?: number;
}

/** ai.onnx::Gemm of matrices: α·a'·b' (+ β·c), each of a and b transposed when asked. */
export function gemm(graph: Graph, a: Value, b: Value, { c, transA = false, transB = false, alpha = 1, beta = 1 }: GemmOptions = {}): Value {
  return op(graph, "Gemm", [a, b, c], { transA: transA ? 1 : 0, transB: transB ? 1 : 0, ...(alpha === 1 ? {} : { alpha: { float: alpha } }), ...(beta === 1 ? {} : { beta: { float: beta } }) });
}

/** How factors of {@link fusedMatMul} are taken. */
export interface FusedMatMulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** @default 1 */
  readonly alpha?: number;
}

/** com.microsoft::FusedMatMul: α·a'·b' of batches of matrices, transposed without a copy. */
export function fusedMatMul(graph: Graph, a: Value, b: Value, { transA = false, transB = false, alpha = 1 }: FusedMatMulOptions = {}): Value {
  return op(graph, "FusedMatMul", [a, b], { transA: transA ? 1 : 0, transB: transB ? 1 : 0, ...(alpha === 1 ? {} : { alpha: { float: alpha } }) }, { domain: "com.microsoft" });
}

/** ai.onnx::Einsum, e.g. "bij,bjk->bik". */
export const einsum = (graph: Graph, equation: string, ...operands: readonly Value[]): Value => op(graph, "Einsum", operands, { equation });
