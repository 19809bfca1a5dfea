import { each, ints, type RuleCase } from "./rule-case.ts";

const kinds = [0, 1].flatMap((transA) => [0, 1].map((transB) => ({ transA, transB })));

/** Cases of matrix products, convolutions, pools and reductions. */
export const PRODUCT_CASES: readonly RuleCase[] = [
  { op: "MatMul", operands: [[2, 3], [3, 4]] },
  { op: "MatMul", operands: [[2, 2, 3], [3, 2]], about: "a weight for a batch" },
  { op: "MatMul", operands: [[2, 3], [2, 3, 2]], about: "a batch on the right" },
  { op: "MatMul", operands: [[2, 1, 2, 3], [1, 3, 3, 2]], about: "batches that broadcast" },
  { op: "MatMul", operands: [[3], [3, 2]], about: "a row" },
  { op: "MatMul", operands: [[2, 3], [3]], about: "a column" },
  { op: "MatMul", operands: [[3], [3]], about: "two vectors" },
  ...kinds.map((trans): RuleCase => ({ op: "Gemm", operands: [trans.transA === 1 ? [3, 2] : [2, 3], trans.transB === 1 ? [4, 3] : [3, 4], [4]], attributes: { ...trans, alpha: { float: 0.5 }, beta: { float: 2 } }, about: JSON.stringify(trans) })),
  ...kinds.map((trans): RuleCase => ({ op: "com.microsoft::FusedMatMul", operands: [trans.transA === 1 ? [2, 3, 2] : [2, 2, 3], trans.transB === 1 ? [4, 3] : [3, 4]], attributes: { ...trans, alpha: { float: 0.5 } }, about: JSON.stringify(trans) })),
  { op: "Einsum", operands: [[2, 2, 3], [2, 3, 2]], attributes: { equation: "bij,bjk->bik" } },
  { op: "Conv", operands: [[2, 2, 5, 4], [3, 2, 3, 2], [3]], attributes: { pads: [1, 0, 1, 1] } },
  { op: "Conv", operands: [[1, 2, 6, 6], [2, 2, 3, 3]], attributes: { strides: [2, 2], pads: [1, 1, 0, 0] }, about: "strides that leave a rest" },
  { op: "Conv", operands: [[1, 1, 7, 7], [1, 1, 3, 3]], attributes: { dilations: [2, 2], strides: [2, 1], pads: [1, 1, 1, 1] }, about: "dilations" },
  { op: "Conv", operands: [[2, 4, 4, 4], [4, 1, 3, 3]], attributes: { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] }, about: "depthwise" },
  { op: "Conv", operands: [[1, 4, 3, 3], [6, 2, 1, 1]], attributes: { group: 2 }, about: "groups of 1×1" },
  { op: "Conv", operands: [[1, 1, 6, 5], [1, 1, 3, 3]], attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] }, about: "automatic padding", fixedSizes: true },
  { op: "Conv", operands: [[1, 1, 5, 5], [1, 1, 2, 2]], attributes: { auto_pad: "SAME_LOWER" }, about: "automatic padding before" },
  { op: "Conv", operands: [[1, 2, 7], [2, 2, 3]], attributes: { strides: [3] }, about: "one axis" },
  { op: "ConvTranspose", operands: [[1, 2, 3, 3], [2, 2, 2, 2], [2]], attributes: { strides: [2, 2] } },
  { op: "ConvTranspose", operands: [[1, 2, 3, 3], [2, 1, 3, 3]], attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1], group: 2 }, about: "output padding and groups" },
  { op: "MaxPool", operands: [[1, 2, 4, 4]], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  { op: "MaxPool", operands: [[2, 1, 5, 5]], attributes: { kernel_shape: [2, 2], strides: [2, 2] }, about: "windows that leave a rest" },
  { op: "MaxPool", operands: [[1, 2, 5, 5]], attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, about: "windows that overlap" },
  { op: "AveragePool", operands: [[1, 2, 4, 4]], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  { op: "AveragePool", operands: [[1, 2, 5, 5]], attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, about: "padding not counted" },
  { op: "AveragePool", operands: [[1, 1, 5, 4]], attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 }, about: "padding counted" },
  ...each("GlobalAveragePool GlobalMaxPool", { operands: [[2, 2, 3, 2]] }),
  ...each("ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp", { operands: [[2, 3], ints(1)] }),
  ...each("ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp", { operands: [[2, 3, 2], ints(0, -1)], attributes: { keepdims: 0 }, about: "two axes dropped" }),
  ...each("ReduceSum ReduceMean ReduceMax ReduceL2", { operands: [[2, 3]], about: "everything" }),
  ...each("ReduceSum ReduceMean", { operands: [[2, 3]], attributes: { keepdims: 0 }, about: "everything, to a scalar" }),
  { op: "ReduceSum", operands: [[2, 3]], attributes: { noop_with_empty_axes: 1 }, about: "nothing" },
  ...each("ReduceProd ReduceLogSum", { operands: [[2, 3], ints(1)], range: [0.5, 2] }),
];

