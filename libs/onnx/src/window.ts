import { intsAttribute, textAttribute } from "./attributes.ts";
import { GraphError } from "./graph-error.ts";
import type { Dimension, GraphNode } from "./graph.ts";

/** How the windows of a convolution or pool lie over its input, one number for each spatial axis. */
export interface Window {
  /** Undefined where a kernel's size is not known. */
  readonly kernel: readonly (number | undefined)[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Sizes of padding before and after; undefined where automatic padding depends on a size that is not known. */
  readonly padsBefore: readonly (number | undefined)[];
  readonly padsAfter: readonly (number | undefined)[];
  /** Windows along an axis, undefined where not known. */
  outputSize(axis: number, ceil?: boolean): number | undefined;
}

/**
 * The windows of a Conv or pool node, with automatic padding worked out.
 *
 * Source: ONNX operators, Conv and AveragePool: SAME_UPPER gives ceil(size / stride) windows, the odd pad behind.
 *
 * @throws GraphError for attributes of the wrong length
 */
export function windowOf(node: Pick<GraphNode, "opType" | "attributes">, sizes: readonly Dimension[], kernelSizes: readonly Dimension[]): Window {
  const rank = sizes.length;
  const kernel = kernelSizes.map((size) => (typeof size === "number" ? size : undefined));
  const strides = intsAttribute(node, "strides") ?? sizes.map(() => 1);
  const dilations = intsAttribute(node, "dilations") ?? sizes.map(() => 1);
  const pads = intsAttribute(node, "pads") ?? sizes.flatMap(() => [0, 0]);
  if (kernel.length !== rank || strides.length !== rank || dilations.length !== rank || pads.length !== 2 * rank) throw new GraphError(`${node.opType}: kernel, strides, dilations and pads do not fit ${rank} axes`);
  const reach = (axis: number): number | undefined => (kernel[axis] === undefined ? undefined : (dilations[axis] ?? 1) * (kernel[axis] - 1) + 1);
  const auto = textAttribute(node, "auto_pad", "NOTSET");
  const total = (axis: number): number | undefined => {
    const [size, stride, wide] = [sizes[axis], strides[axis] ?? 1, reach(axis)];
    if (wide === undefined) return undefined;
    if (stride === 1) return wide - 1;
    return typeof size === "number" ? Math.max((Math.ceil(size / stride) - 1) * stride + wide - size, 0) : undefined;
  };
  const split = (axis: number, upper: boolean): number | undefined => {
    const all = total(axis);
    return all === undefined ? undefined : upper === (auto === "SAME_UPPER") ? Math.ceil(all / 2) : Math.floor(all / 2);
  };
  const before = sizes.map((_, axis) => (auto === "VALID" ? 0 : auto.startsWith("SAME") ? split(axis, false) : pads[axis]));
  const after = sizes.map((_, axis) => (auto === "VALID" ? 0 : auto.startsWith("SAME") ? split(axis, true) : pads[axis + rank]));
  return {
    kernel,
    strides,
    dilations,
    padsBefore: before,
    padsAfter: after,
    outputSize: (axis, ceil = false) => {
      const [size, stride, wide, head, tail] = [sizes[axis], strides[axis] ?? 1, reach(axis), before[axis], after[axis]];
      if (typeof size !== "number" || wide === undefined || head === undefined || tail === undefined) return undefined;
      const steps = (size + head + tail - wide) / stride;
      if (!ceil) return Math.floor(steps) + 1;
      // A last window that would begin in the padding behind is left out.
      const windows = Math.ceil(steps) + 1;
      return (windows - 1) * stride >= size + head ? windows - 1 : windows;
    },
  };
}
