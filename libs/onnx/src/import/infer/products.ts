import { floatsAttribute, intAttribute, intsAttribute, textAttribute } from "../../attributes.ts";
import { GraphError, type Dimension } from "../../graph.ts";
import { broadcastShapes } from "../../ops/broadcast.ts";
import { windowOf } from "../../window.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

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
  return { batch: broadcastShapes(a.slice(0, -2), b.slice(0, -2)), rows: a.length === 1 ? [] : a.slice(-2, -1), columns: b.length === 1 ? [] : b.slice(-1) };
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
    return [{ datatype: x.datatype, shape: [x.shape[0] ?? 1, w.shape[0] ?? 1, ...outputSizes(inference, x.shape.slice(2), w.shape.slice(2))] }];
  },
  ConvTranspose: (inference) => {
    const [x, w] = [operand(inference, 0), operand(inference, 1)];
    const per = w.shape[1];
    const channels = typeof per === "number" ? per * intAttribute(inference.node, "group", 1) : inference.unknown();
    return [{ datatype: x.datatype, shape: [x.shape[0] ?? 1, channels, ...x.shape.slice(2).map(() => inference.unknown())] }];
  },
  Einsum: (inference) => {
    const [left = "", result] = textAttribute(inference.node, "equation", "").replaceAll(" ", "").split("->");
    if (result === undefined || !/^[A-Za-z,]*$/.test(left + result)) throw new GraphError("Einsum with an equation that is not of the form ab,bc->ac");
    const sizes = new Map<string, Dimension>();
    for (const [index, letters] of left.split(",").entries()) for (const [axis, letter] of [...letters].entries()) if (typeof sizes.get(letter) !== "number") sizes.set(letter, operand(inference, index).shape[axis] ?? 1);
    return [{ datatype: operand(inference, 0).datatype, shape: [...result].map((letter) => sizes.get(letter) ?? 1) }];
  },
  MaxPool: pooling,
  AveragePool: pooling,
  LpPool: pooling,
  GlobalAveragePool: globalPooling,
  GlobalMaxPool: globalPooling,
  GlobalLpPool: globalPooling,
  Resize: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const sizes = inference.contents(inference.inputs[3]);
    const plain = sizes?.length === shape.length && textAttribute(inference.node, "keep_aspect_ratio_policy", "stretch") === "stretch";
    if (floatsAttribute(inference.node, "scales") !== undefined) throw new GraphError("Resize with scales as an attribute");
    return [{ datatype, shape: plain ? [...sizes] : shape.map((size, axis) => (axis < 2 && shape.length > 2 && intsAttribute(inference.node, "axes") === undefined && size === 1 ? size : inference.unknown())) }];
  },
};
