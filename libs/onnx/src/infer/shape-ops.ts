import { intAttribute, intsAttribute, tensorAttribute } from "../attributes.ts";
import { datatypeOf } from "../element-type.ts";
import { GraphError } from "../graph-error.ts";
import type { Dimension } from "../graph.ts";
import { broadcastShapes } from "../ops/broadcast.ts";
import { axisOf, differ, lengthOf, numbersOf, operand, productOf, type InferRule, type Inference } from "./inference.ts";

/** A shape that an integer operand states, unknown sizes where its elements are not known. */
function statedShape(inference: Inference, index: number): Dimension[] {
  const contents = inference.contents(inference.inputs[index]);
  return contents === undefined ? Array.from({ length: lengthOf(inference, index) }, () => inference.unknown()) : [...contents];
}

const reshape: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const zeroCopies = intAttribute(inference.node, "allowzero", 0) === 0;
  const stated = statedShape(inference, 1).map((size, axis) => (size === 0 && zeroCopies ? (shape[axis] ?? 0) : size));
  const open = stated.indexOf(-1);
  if (open < 0) return [{ datatype, shape: stated }];
  const rest = stated.filter((_, axis) => axis !== open);
  return [{ datatype, shape: stated.map((size, axis) => (axis === open ? leftOver(shape, rest) ?? inference.unknown() : size)) }];
};

/** What -1 stands for: factors that both sides name cancel, the others must be numbers. */
function leftOver(from: readonly Dimension[], rest: readonly Dimension[]): Dimension | undefined {
  const open = [...from];
  const unmatched = rest.filter((size) => {
    const at = typeof size === "string" ? open.indexOf(size) : -1;
    if (at >= 0) open.splice(at, 1);
    return at < 0;
  });
  const [names, divisor] = [open.filter((size) => typeof size === "string"), productOf(unmatched)];
  const product = productOf(open.filter((size) => typeof size === "number"));
  if (divisor === undefined || product === undefined || divisor === 0 || product % divisor !== 0) return undefined;
  if (names.length === 0) return product / divisor;
  return names.length === 1 && product === divisor ? names[0] : undefined;
}

const squeeze: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  if (inference.inputs[1] === undefined) {
    if (shape.some((size) => typeof size === "string")) throw new GraphError("Squeeze without axes of a shape that varies");
    return [{ datatype, shape: shape.filter((size) => size !== 1) }];
  }
  const axes = numbersOf(inference, 1)?.map((axis) => axisOf(axis, shape.length, "Squeeze"));
  if (axes !== undefined) return [{ datatype, shape: shape.filter((_, axis) => !axes.includes(axis)) }];
  return [{ datatype, shape: shape.slice(lengthOf(inference, 1)).map(() => inference.unknown()) }];
};

const unsqueeze: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const rank = shape.length + lengthOf(inference, 1);
  const axes = numbersOf(inference, 1)?.map((axis) => axisOf(axis, rank, "Unsqueeze"));
  if (axes === undefined) return [{ datatype, shape: Array.from({ length: rank }, () => inference.unknown()) }];
  const rest = [...shape];
  return [{ datatype, shape: Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : (rest.shift() ?? 1))) }];
};

const slice: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const [starts, ends] = [numbersOf(inference, 1), numbersOf(inference, 2)];
  const axes = (inference.inputs[3] === undefined ? starts?.map((_, index) => index) : numbersOf(inference, 3))?.map((axis) => axisOf(axis, shape.length, "Slice"));
  const steps = inference.inputs[4] === undefined ? starts?.map(() => 1) : numbersOf(inference, 4);
  if (axes === undefined) return [{ datatype, shape: shape.map(() => inference.unknown()) }];
  const sizes = shape.map((size, axis) => {
    const at = axes.indexOf(axis);
    if (at < 0) return size;
    const [start, end, step] = [starts?.[at], ends?.[at], steps?.[at]];
    if (typeof size !== "number" || start === undefined || end === undefined || step === undefined) return inference.unknown();
    return sliceRange(size, start, end, step).length;
  });
  return [{ datatype, shape: sizes }];
};

/** The indices that a slice takes (ONNX operators, Slice: negative bounds count from the end, all are clamped). */
export function sliceRange(size: number, start: number, end: number, step: number): number[] {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const [from, to] = step > 0 ? [clamp(start, 0, size), clamp(end, 0, size)] : [clamp(start, 0, size - 1), clamp(end, -1, size - 1)];
  const count = Math.max(0, Math.ceil((to - from) / step));
  return Array.from({ length: count }, (_, index) => from + index * step);
}

const split: InferRule = (inference) => {
  const { datatype, shape } = operand(inference, 0);
  const axis = axisOf(intAttribute(inference.node, "axis", 0), shape.length, "Split");
  const sizes = inference.contents(inference.inputs[1]);
  const size = shape[axis];
  // Without sizes all parts but the last are equal.
  const each = typeof size === "number" ? Math.ceil(size / inference.outputCount) : undefined;
  const equal = (index: number): Dimension => (each === undefined || typeof size !== "number" ? inference.unknown() : Math.min(each, size - each * index));
  return Array.from({ length: inference.outputCount }, (_, index) => ({ datatype, shape: shape.map((whole, at) => (at === axis ? (sizes?.[index] ?? (inference.inputs[1] === undefined ? equal(index) : inference.unknown())) : whole)) }));
};

const sum = (a: Dimension | undefined, b: Dimension): Dimension | undefined => (b === 0 ? a : a === 0 ? b : typeof a === "number" && typeof b === "number" ? a + b : undefined);

/** Operators that move elements. */
export const SHAPE_TYPES: Readonly<Record<string, InferRule>> = {
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Slice: slice,
  Split: split,
  Shape: (inference) => {
    const rank = operand(inference, 0).shape.length;
    return [{ datatype: "INT64", shape: [sliceRange(rank, intAttribute(inference.node, "start", 0), intAttribute(inference.node, "end", rank), 1).length] }];
  },
  Size: () => [{ datatype: "INT64", shape: [] }],
  Flatten: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axis = intAttribute(inference.node, "axis", 1);
    const at = axis < 0 ? axis + shape.length : axis;
    return [{ datatype, shape: [shape.slice(0, at), shape.slice(at)].map((part) => leftOver(part, []) ?? inference.unknown()) }];
  },
  Transpose: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const perm = intsAttribute(inference.node, "perm") ?? shape.map((_, axis) => shape.length - 1 - axis);
    if (perm.length !== shape.length || perm.some((_, axis) => !perm.includes(axis))) throw new GraphError(`[${perm.join()}] is no order of ${shape.length} axes`);
    return [{ datatype, shape: perm.map((axis) => shape[axis] ?? 1) }];
  },
  Concat: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axis = axisOf(intAttribute(inference.node, "axis", 0), shape.length, "Concat");
    for (const part of inference.inputs) {
      if (part === undefined) continue;
      if (part.datatype !== datatype) throw new GraphError(`${datatype} and ${part.datatype} do not mix: cast one of them`);
      if (part.shape.length !== shape.length || part.shape.some((size, at) => at !== axis && differ(size, shape[at]))) throw new GraphError(`[${part.shape.join()}] does not fit [${shape.join()}] anywhere but along axis ${axis}`);
    }
    const total = inference.inputs.reduce<Dimension | undefined>((size, part) => (part === undefined ? size : sum(size, part.shape[axis] ?? 0)), 0);
    return [{ datatype, shape: shape.map((size, at) => (at === axis ? (total ?? inference.unknown()) : (inference.inputs.map((part) => part?.shape[at]).find((each) => typeof each === "number") ?? size))) }];
  },
  Expand: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    return [{ datatype, shape: broadcastShapes(shape, statedShape(inference, 1)) }];
  },
  Tile: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const repeats = inference.contents(inference.inputs[1]);
    return [{ datatype, shape: shape.map((size, axis) => (repeats?.[axis] === 1 ? size : (productOf([size, repeats?.[axis] ?? "?"]) ?? inference.unknown()))) }];
  },
  Pad: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const pads = numbersOf(inference, 1);
    const axes = inference.inputs[3] === undefined ? shape.map((_, axis) => axis) : numbersOf(inference, 3)?.map((axis) => axisOf(axis, shape.length, "Pad"));
    const added = (axis: number): number | undefined => {
      const at = axes?.indexOf(axis);
      return pads === undefined || axes === undefined || at === undefined ? undefined : at < 0 ? 0 : (pads[at] ?? 0) + (pads[at + axes.length] ?? 0);
    };
    return [{ datatype, shape: shape.map((size, axis) => (added(axis) === 0 ? size : typeof size === "number" && added(axis) !== undefined ? size + (added(axis) ?? 0) : inference.unknown())) }];
  },
  Gather: (inference) => {
    const [data, indices] = [operand(inference, 0), operand(inference, 1)];
    if (indices.datatype !== "INT64" && indices.datatype !== "INT32") throw new GraphError(`indices are ${indices.datatype}, INT32 or INT64 is needed`);
    const axis = axisOf(intAttribute(inference.node, "axis", 0), data.shape.length, "Gather");
    return [{ datatype: data.datatype, shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)] }];
  },
  GatherElements: (inference) => [{ datatype: operand(inference, 0).datatype, shape: operand(inference, 1).shape }],
  GatherND: (inference) => {
    const [data, indices] = [operand(inference, 0), operand(inference, 1)];
    const depth = indices.shape.at(-1);
    if (typeof depth !== "number") throw new GraphError("GatherND with indices of a length that varies");
    return [{ datatype: data.datatype, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(intAttribute(inference.node, "batch_dims", 0) + depth)] }];
  },
  ConstantOfShape: (inference) => [{ datatype: tensorAttribute(inference.node, "value")?.datatype ?? "FP32", shape: statedShape(inference, 0) }],
  Range: (inference) => {
    const [start, limit, delta] = [0, 1, 2].map((index) => inference.contents(inference.inputs[index])?.[0]);
    const known = start === 0 && delta === 1 ? limit : typeof start === "number" && typeof limit === "number" && typeof delta === "number" ? Math.max(0, Math.ceil((limit - start) / delta)) : undefined;
    return [{ datatype: operand(inference, 0).datatype, shape: [known ?? inference.unknown()] }];
  },
  OneHot: (inference) => {
    const { shape } = operand(inference, 0);
    const axis = intAttribute(inference.node, "axis", -1);
    const at = axis < 0 ? axis + shape.length + 1 : axis;
    return [{ datatype: operand(inference, 2).datatype, shape: [...shape.slice(0, at), inference.contents(inference.inputs[1])?.[0] ?? inference.unknown(), ...shape.slice(at)] }];
  },
  NonZero: (inference) => [{ datatype: "INT64", shape: [operand(inference, 0).shape.length, inference.unknown()] }],
  EyeLike: (inference) => [{ datatype: datatypeOf(intAttribute(inference.node, "dtype", 0)) ?? operand(inference, 0).datatype, shape: operand(inference, 0).shape }],
  DepthToSpace: (inference) => [blocks(inference, (size, block) => size * block)],
  SpaceToDepth: (inference) => [blocks(inference, (size, block) => size / block)],
};

function blocks(inference: Inference, scale: (size: number, block: number) => number): ReturnType<InferRule>[number] {
  const { datatype, shape } = operand(inference, 0);
  const block = intAttribute(inference.node, "blocksize", 1);
  const [batch = 1, channels, ...spatial] = shape;
  const scaled = spatial.map((size) => (typeof size === "number" ? scale(size, block) : inference.unknown()));
  return { datatype, shape: [batch, typeof channels === "number" ? channels / scale(1, block) ** 2 : inference.unknown(), ...scaled] };
}
