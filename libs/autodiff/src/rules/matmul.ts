import { gemm } from "@servable/onnx";
import { operands, unbroadcast, type Rule } from "./rule.ts";

/** Matrix products. */
export const MATMUL: Readonly<Record<string, Rule>> = {
  /** y = a·b of matrices: da = g·bᵀ, db = aᵀ·g */
  MatMul: (context) => {
    const { graph, upstream, needed } = context;
    const { a, b } = operands(context);
    return [needed[0] === true ? gemm(graph, upstream, b, { transB: true }) : undefined, needed[1] === true ? gemm(graph, a, upstream, { transA: true }) : undefined];
  },
  /** y = a'·b' + c; the four transpositions as in docs/adr: each factor's gradient is again one Gemm. */
  Gemm: (context) => {
    const { graph, node, upstream, needed } = context;
    const { a, b } = operands(context);
    const c = node.inputs[2];
    const transA = node.attributes["transA"] === 1;
    const transB = node.attributes["transB"] === 1;
    const da = (): ReturnType<typeof gemm> => (transA ? gemm(graph, b, upstream, { transA: transB, transB: true }) : gemm(graph, upstream, b, { transB: !transB }));
    const db = (): ReturnType<typeof gemm> => (transB ? gemm(graph, upstream, a, { transA: true, transB: transA }) : gemm(graph, a, upstream, { transA: !transA }));
    return [needed[0] === true ? da() : undefined, needed[1] === true ? db() : undefined, c !== undefined && needed[2] === true ? unbroadcast(graph, upstream, c) : undefined];
  },
};
