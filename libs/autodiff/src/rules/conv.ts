// Convolutions are each other's gradients: Conv's input gets a ConvTranspose of g, a weight gets a Conv of the input with g in
// the place of the kernel, strides and dilations swapped. Source of the shapes: Dumoulin & Visin, A guide to convolution
// arithmetic for deep learning (2016), chapter 4.

import { GraphError, intAttribute, reduceSum, textAttribute, windowOf, type Dimension, type Graph, type Value, type Window } from "@servable/onnx";
import { isSmallKernel, weightGradientByProducts } from "./conv-weight.ts";
import { inputOf, ints, reshapeTo, scalar, sizeList, sizesOf, type Rule, type RuleContext } from "./rule.ts";

/** What the gradients need of a window, every size known. */
export interface KnownWindow {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBefore: readonly number[];
  readonly padsAfter: readonly number[];
  readonly group: number;
}

/** Convolutions. */
export const CONV: Readonly<Record<string, Rule>> = {
  /** dx = ConvTranspose(g, w); dw = Conv(x, g); db = Σg over batch and space */
  Conv: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, w] = [inputOf(context, 0), inputOf(context, 1)];
    const window = known(windowOf(node, x.shape.slice(2), w.shape.slice(2)), intAttribute(node, "group", 1));
    return [
      needed[0] === true ? convInputGradient(graph, upstream, w, window, x) : undefined,
      needed[1] === true ? convWeightGradient(graph, x, upstream, w, window) : undefined,
      needed[2] === true ? biasGradient(graph, upstream) : undefined,
    ];
  },
  /** y = ConvTranspose(x, w) is the gradient of a Conv: dx = Conv(g, w); dw as a Conv's, x and g swapped */
  ConvTranspose: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, w] = [inputOf(context, 0), inputOf(context, 1)];
    if (node.attributes["output_shape"] !== undefined || !["NOTSET", "VALID"].includes(textAttribute(node, "auto_pad", "NOTSET"))) throw new GraphError("only explicit pads have a gradient");
    const window = known(windowOf(node, x.shape.slice(2), w.shape.slice(2)), intAttribute(node, "group", 1));
    const { strides, dilations, padsBefore, padsAfter, group } = window;
    const dx = (): Value => graph.node("Conv", [upstream, w], { datatype: x.datatype, shape: x.shape }, { strides: [...strides], dilations: [...dilations], pads: [...padsBefore, ...padsAfter], group });
    // With an output padding the Conv may see one window more than x has elements.
    return [needed[0] === true ? cropLike(graph, dx(), x) : undefined, needed[1] === true ? convWeightGradient(graph, upstream, x, w, window) : undefined, needed[2] === true ? biasGradient(graph, upstream) : undefined];
  },
};

/** A window of which every size is known. @throws GraphError */
export function known(window: Window, group: number): KnownWindow {
  const all = (sizes: readonly (number | undefined)[]): number[] => {
    if (sizes.some((size) => size === undefined)) throw new GraphError("automatic padding of a size that varies has no gradient");
    return sizes as number[];
  };
  return { kernel: all(window.kernel), strides: window.strides, dilations: window.dilations, padsBefore: all(window.padsBefore), padsAfter: all(window.padsAfter), group };
}

/** dx of y = Conv(x, w), given g = dy. */
export function convInputGradient(graph: Graph, g: Value, w: Value, { kernel, strides, dilations, padsBefore, padsAfter, group }: KnownWindow, x: Value): Value {
  const attributes = { strides: [...strides], dilations: [...dilations], group };
  const spatial = x.shape.slice(2);
  const outputs = g.shape.slice(2);
  if ([...spatial, ...outputs].every((size) => typeof size === "number")) {
    // Rows that no window reached, because the stride leaves a rest, come back as output padding.
    const padding = kernel.map((size, axis) => Number(spatial[axis]) - ((Number(outputs[axis]) - 1) * (strides[axis] ?? 1) + (dilations[axis] ?? 1) * (size - 1) + 1 - (padsBefore[axis] ?? 0) - (padsAfter[axis] ?? 0)));
    if (padding.every((size, axis) => size >= 0 && size < Math.max(strides[axis] ?? 1, dilations[axis] ?? 1))) {
      return graph.node("ConvTranspose", [g, w], { datatype: x.datatype, shape: x.shape }, { ...attributes, pads: [...padsBefore, ...padsAfter], output_padding: padding });
    }
  }
  // Without pads it is as large as all windows reach: zeros behind for the rest, then the part that x is.
  const full = graph.node("ConvTranspose", [g, w], { datatype: x.datatype, shape: [x.shape[0] ?? 1, x.shape[1] ?? 1, ...spatial.map((_, axis): Dimension => `?reach${axis}`)] }, attributes);
  const none = kernel.map(() => 0);
  const behind = graph.node("Pad", [full, ints(graph, [0, 0, ...none, 0, 0, ...strides.map((stride, axis) => stride - 1 + Math.max(0, padsAfter[axis] ?? 0))]), scalar(graph, g, 0)], { datatype: x.datatype, shape: full.shape }, { mode: "constant" });
  const starts = ints(graph, padsBefore);
  const ends = graph.node("Add", [sizesOf(graph, x, 2), starts], { datatype: "INT64", shape: [kernel.length] });
  return graph.node("Slice", [behind, starts, ends, ints(graph, kernel.map((_, axis) => axis + 2))], { datatype: x.datatype, shape: x.shape });
}

/** dw of y = Conv(x, w). */
function convWeightGradient(graph: Graph, x: Value, g: Value, w: Value, window: KnownWindow): Value {
  const [outer, inner] = w.shape;
  if (typeof inner !== "number" || typeof outer !== "number") throw new GraphError("a weight of a shape that varies has no gradient");
  return isSmallKernel(x, g, window) ? weightGradientByProducts(graph, x, g, w, window) : weightGradientByConv(graph, x, g, w, window, [outer, inner]);
}

/** Channels become the batch, g becomes the kernel: one Conv for every kernel, group and number of axes. */
function weightGradientByConv(graph: Graph, x: Value, g: Value, w: Value, { kernel, strides, dilations, padsBefore, padsAfter, group }: KnownWindow, [outer, inner]: readonly [number, number]): Value {
  const axes = kernel.map((_, axis) => axis);
  const rank = kernel.length;
  // x: [N, G·I, …] → [N, G, I, …] → [I, G, N, …] → [I, G·N, …]
  const grouped = reshapeTo(graph, x, sizeList(graph, [0, group, inner], sizesOf(graph, x, 2)), [x.shape[0] ?? 1, group, inner, ...x.shape.slice(2)]);
  const turned = graph.node("Transpose", [grouped], { datatype: x.datatype, shape: [inner, group, x.shape[0] ?? 1, ...x.shape.slice(2)] }, { perm: [2, 1, 0, ...axes.map((axis) => axis + 3)] });
  const images = reshapeTo(graph, turned, sizeList(graph, [inner, -1], sizesOf(graph, x, 2)), [inner, "?images", ...x.shape.slice(2)]);
  // g: [N, O, …] → [O, N, …]
  const kernels = graph.node("Transpose", [g], { datatype: g.datatype, shape: [outer, g.shape[0] ?? 1, ...g.shape.slice(2)] }, { perm: [1, 0, ...axes.map((axis) => axis + 2)] });
  const slid = graph.node("Conv", [images, kernels], { datatype: w.datatype, shape: [inner, outer, ...kernel.map((_, axis): Dimension => `?slid${axis}`)] }, { strides: [...dilations], dilations: [...strides], pads: [...padsBefore, ...padsAfter], group });
  // A stride that leaves a rest makes it larger than the kernel.
  const cut = graph.node("Slice", [slid, ints(graph, axes.map(() => 0)), ints(graph, kernel), ints(graph, axes.map((axis) => axis + 2))], { datatype: w.datatype, shape: [inner, outer, ...kernel] });
  return graph.node("Transpose", [cut], { datatype: w.datatype, shape: w.shape }, { perm: [1, 0, ...Array.from({ length: rank }, (_, axis) => axis + 2)] });
}

function biasGradient(graph: RuleContext["graph"], g: Value): Value {
  return reduceSum(graph, g, g.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])));
}

function cropLike(graph: Graph, x: Value, like: Value): Value {
  const rank = like.shape.length - 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis + 2);
  return graph.node("Slice", [x, ints(graph, axes.map(() => 0)), sizesOf(graph, like, 2), ints(graph, axes)], { datatype: x.datatype, shape: like.shape });
}
