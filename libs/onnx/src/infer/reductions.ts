import { intAttribute } from "../attributes.ts";
import { GraphError } from "../graph-error.ts";
import type { Dimension } from "../graph.ts";
import { axisOf, differ, lengthOf, numbersOf, operand, type InferRule } from "./inference.ts";

/** Axes come as an input; without it all are reduced, or none when the node says so. */
const reduction: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const keep = intAttribute(inference.node, "keepdims", 1) === 1;
  const { opType } = inference.node;
  if (inference.inputs[1] === undefined || inference.inputs[1].shape[0] === 0) {
    if (intAttribute(inference.node, "noop_with_empty_axes", 0) === 1) return [{ datatype, shape }];
    return [{ datatype, shape: keep ? shape.map(() => 1) : [] }];
  }
  const axes = numbersOf(inference, 1)?.map((axis) => axisOf(axis, shape.length, opType));
  if (axes !== undefined) return [{ datatype, shape: without(shape, axes, keep) }];
  if (keep) return [{ datatype, shape: shape.map(() => inference.unknown()) }];
  return [{ datatype, shape: shape.slice(lengthOf(inference, 1)).map(() => inference.unknown()) }];
};

const argument: InferRule = (inference) => {
  const { shape } = operand(inference, 0);
  const axis = axisOf(intAttribute(inference.node, "axis", 0), shape.length, inference.node.opType);
  return [{ datatype: "INT64", shape: without(shape, [axis], intAttribute(inference.node, "keepdims", 1) === 1) }];
};

function without(shape: readonly Dimension[], axes: readonly number[], keep: boolean): Dimension[] {
  return keep ? shape.map((size, index) => (axes.includes(index) ? 1 : size)) : shape.filter((_, index) => !axes.includes(index));
}

/** Operators that reduce axes. */
export const REDUCTION_TYPES: Readonly<Record<string, InferRule>> = {
  ...Object.fromEntries(["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"].map((name) => [`Reduce${name}`, reduction])),
  ArgMax: argument,
  ArgMin: argument,
  TopK: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axis = axisOf(intAttribute(inference.node, "axis", -1), shape.length, "TopK");
    const k = inference.contents(inference.inputs[1])?.[0] ?? inference.unknown();
    const top = shape.map((size, index) => (index === axis ? k : size));
    return [{ datatype, shape: top }, { datatype: "INT64", shape: top }];
  },
  Gemm: (inference) => {
    const [a, b] = [operand(inference, 0), operand(inference, 1)];
    if (a.shape.length !== 2 || b.shape.length !== 2) throw new GraphError("Gemm of something else than matrices");
    const [transA, transB] = [intAttribute(inference.node, "transA", 0), intAttribute(inference.node, "transB", 0)];
    const rows = a.shape[transA === 1 ? 1 : 0] as Dimension;
    const columns = b.shape[transB === 1 ? 0 : 1] as Dimension;
    const [inner, inner2] = [a.shape[transA === 1 ? 0 : 1], b.shape[transB === 1 ? 1 : 0]];
    if (differ(inner, inner2)) throw new GraphError(`the inner sizes differ: ${inner} and ${inner2}`);
    return [{ datatype: a.datatype, shape: [rows, columns] }];
  },
};
