import { floatsAttribute, intAttribute, intsAttribute, textAttribute } from "../attributes.ts";
import { GraphError } from "../graph-error.ts";
import type { Dimension } from "../graph.ts";
import { broadcastShapes } from "../ops/broadcast.ts";
import { windowOf } from "../window.ts";
import { differ, operand, type InferRule, type Inference } from "./inference.ts";

const pooling: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const kernel = intsAttribute(inference.node, "kernel_shape") ?? [];
  const spatial = outputSizes(inference, shape.slice(2), kernel, intAttribute(inference.node, "ceil_mode", 0) === 1);
  const pooled = [...shape.slice(0, 2), ...spatial];
  return [{ datatype, shape: pooled }, { datatype: "INT64" as const, shape: pooled }].slice(0, inference.outputCount);
};

const globalPooling: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  return [{ datatype, shape: shape.map((size, index) => (index < 2 ? size : 1)) }];
};

function outputSizes(inference: Inference, sizes: readonly Dimension[], kernel: readonly Dimension[], ceil = false): Dimension[] {
  const window = windowOf(inference.node, sizes, kernel);
  return sizes.map((size, axis) => window.outputSize(axis, ceil) ?? (size === 1 ? 1 : inference.unknown()));
}

/** ai.onnx::MatMul, numpy's rules: leading axes broadcast, a vector is a row or a column. */
const matMul: InferRule = (inference) => {
  const [a, b] = [operand(inference, 0), operand(inference, 1)];
  const { rows, columns, batch } = matMulShape(a.shape, b.shape);
  return [{ datatype: a.datatype, shape: [...batch, ...rows, ...columns] }];
};

function matMulShape(a: readonly Dimension[], b: readonly Dimension[]): { batch: Dimension[]; rows: readonly Dimension[]; columns: readonly Dimension[] } {
  if (a.length === 0 || b.length === 0) throw new GraphError("MatMul of a scalar");
  const [inner, inner2] = [a.at(-1), b.length === 1 ? b[0] : b.at(-2)];
  if (differ(inner, inner2)) throw new GraphError(`the inner sizes differ: ${inner} and ${inner2}`);
  return { batch: broadcastShapes(a.slice(0, -2), b.slice(0, -2)), rows: a.length === 1 ? [] : a.slice(-2, -1), columns: b.length === 1 ? [] : b.slice(-1) };
}

/** Sizes that a transposed convolution gives: (size - 1)·stride + output padding + reach - pads. */
function transposedSizes(inference: Inference, sizes: readonly Dimension[], kernel: readonly Dimension[]): Dimension[] {
  const { node } = inference;
  const stated = intsAttribute(node, "output_shape");
  if (stated !== undefined) return [...stated.slice(-sizes.length)];
  const automatic = textAttribute(node, "auto_pad", "NOTSET");
  const window = windowOf(automatic.startsWith("SAME") ? { ...node, attributes: { ...node.attributes, auto_pad: "VALID" } } : node, sizes, kernel);
  const extra = intsAttribute(node, "output_padding") ?? sizes.map(() => 0);
  return sizes.map((size, axis) => {
    const [stride = 1, dilation = 1, width, before, after] = [window.strides[axis], window.dilations[axis], window.kernel[axis], window.padsBefore[axis], window.padsAfter[axis]];
    if (typeof size !== "number" || width === undefined || before === undefined || after === undefined) return inference.unknown();
    return automatic.startsWith("SAME") ? size * stride : (size - 1) * stride + (extra[axis] ?? 0) + dilation * (width - 1) + 1 - before - after;
  });
}

const swapped = (shape: readonly Dimension[]): Dimension[] => [...shape.slice(0, -2), ...shape.slice(-2).reverse()];

/** Matrix products, convolutions and pools. */
export const PRODUCT_TYPES: Readonly<Record<string, InferRule>> = {
  MatMul: matMul,
  "com.microsoft::FusedMatMul": (inference) => {
    const [a, b] = [operand(inference, 0), operand(inference, 1)];
    const shapes = [a, b].map(({ shape }, index) => (intAttribute(inference.node, index === 0 ? "transA" : "transB", 0) === 1 ? swapped(shape) : shape));
    const { rows, columns, batch } = matMulShape(shapes[0] ?? [], shapes[1] ?? []);
    return [{ datatype: a.datatype, shape: [...batch, ...rows, ...columns] }];
  },
  Conv: (inference) => {
    const [x, w] = [operand(inference, 0), operand(inference, 1)];
    const [channels, per, group] = [x.shape[1], w.shape[1], intAttribute(inference.node, "group", 1)];
    if (x.shape.length < 3 || x.shape.length !== w.shape.length) throw new GraphError(`x [batch, channels, …space] and w [out channels, channels/group, …kernel] must have the same rank of at least 3`);
    if (typeof channels === "number" && typeof per === "number" && channels !== per * group) throw new GraphError(`x has ${channels} channels, the weight takes ${per} in each of ${group} groups`);
    return [{ datatype: x.datatype, shape: [x.shape[0] ?? 1, w.shape[0] ?? 1, ...outputSizes(inference, x.shape.slice(2), w.shape.slice(2))] }];
  },
  ConvTranspose: (inference) => {
    const [x, w] = [operand(inference, 0), operand(inference, 1)];
    const per = w.shape[1];
    const channels = typeof per === "number" ? per * intAttribute(inference.node, "group", 1) : inference.unknown();
    return [{ datatype: x.datatype, shape: [x.shape[0] ?? 1, channels, ...transposedSizes(inference, x.shape.slice(2), w.shape.slice(2))] }];
  },
  Einsum: (inference) => {
    const [left = "", stated] = textAttribute(inference.node, "equation", "").replaceAll(" ", "").split("->");
    // Without an arrow the result has the letters that stand once, in alphabetical order.
    const result = stated ?? [...new Set(left.replaceAll(",", ""))].filter((letter) => left.split(letter).length === 2).sort().join("");
    if (!/^[A-Za-z,]*$/.test(left + result)) throw new GraphError("Einsum with an equation that is not of the form ab,bc->ac");
    const sizes = new Map<string, Dimension>();
    for (const [index, letters] of left.split(",").entries()) for (const [axis, letter] of [...letters].entries()) if (typeof sizes.get(letter) !== "number") sizes.set(letter, operand(inference, index).shape[axis] ?? 1);
    return [{ datatype: operand(inference, 0).datatype, shape: [...result].map((letter) => sizes.get(letter) ?? 1) }];
  },
  MaxPool: pooling,
  AveragePool: pooling,
  LpPool: pooling,
  MaxUnpool: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const sizes = inference.contents(inference.inputs[2]);
    if (sizes !== undefined) return [{ datatype, shape: [...sizes] }];
    const kernel = intsAttribute(inference.node, "kernel_shape") ?? [];
    return [{ datatype, shape: [...shape.slice(0, 2), ...(inference.inputs[2] === undefined ? transposedSizes(inference, shape.slice(2), kernel) : shape.slice(2).map(() => inference.unknown()))] }];
  },
  GlobalAveragePool: globalPooling,
  GlobalMaxPool: globalPooling,
  GlobalLpPool: globalPooling,
  Resize: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const sizes = inference.contents(inference.inputs[3]);
    const plain = sizes?.length === shape.length && textAttribute(inference.node, "keep_aspect_ratio_policy", "stretch") === "stretch";
    if (floatsAttribute(inference.node, "scales") !== undefined) throw new GraphError("Resize with scales as an attribute");
    const scales = sizes === undefined && intsAttribute(inference.node, "axes") === undefined ? inference.floats(inference.inputs[2]) : undefined;
    if (scales?.length === shape.length) return [{ datatype, shape: shape.map((size, axis) => (scales[axis] === 1 ? size : typeof size === "number" ? Math.floor(size * (scales[axis] ?? 1)) : inference.unknown())) }];
    return [{ datatype, shape: plain ? [...sizes] : shape.map((size, axis) => (axis < 2 && shape.length > 2 && intsAttribute(inference.node, "axes") === undefined && size === 1 ? size : inference.unknown())) }];
  },
};
