import type { Graph, Value } from "../graph.ts";
import { op } from "./op.ts";

/** How windows lie over space; one number for each spatial axis. */
export interface WindowOptions {
  /** @default 1 each */
  readonly strides?: readonly number[];
  /** Zeros before each axis, then behind each. @default none */
  readonly pads?: readonly number[];
  /** @default 1 each */
  readonly dilations?: readonly number[];
}

/** What else a convolution needs. */
export interface ConvOptions extends WindowOptions {
  /** [out channels] */
  readonly bias?: Value;
  /** Channels are cut into so many groups that do not see each other. @default 1 */
  readonly group?: number;
}

/** ai.onnx::Conv: x [n, c, …space] * w [o, c/group, …kernel] → [n, o, …]. */
export function conv(graph: Graph, x: Value, w: Value, { bias, group = 1, strides, pads, dilations }: ConvOptions = {}): Value {
  return op(graph, "Conv", [x, w, bias], { group, strides, pads, dilations });
}

/** ai.onnx::ConvTranspose: x [n, c, …space] with w [c, o/group, …kernel] → [n, o, …]. */
export function convTranspose(graph: Graph, x: Value, w: Value, { bias, group = 1, strides, pads, dilations, outputPadding }: ConvOptions & { readonly outputPadding?: readonly number[] } = {}): Value {
  return op(graph, "ConvTranspose", [x, w, bias], { group, strides, pads, dilations, output_padding: outputPadding });
}

/** How a pool takes its windows. */
export interface PoolOptions extends WindowOptions {
  /** A last window may reach over the end. @default false */
  readonly ceil?: boolean;
}

/** ai.onnx::MaxPool over space, x [n, c, …space]. The indices are not asked for: with them it takes a far slower path. */
export function maxPool(graph: Graph, x: Value, kernel: readonly number[], { strides, pads, dilations, ceil = false }: PoolOptions = {}): Value {
  return op(graph, "MaxPool", [x], { kernel_shape: kernel, strides, pads, dilations, ceil_mode: ceil ? 1 : undefined });
}

/** ai.onnx::AveragePool over space. @param options.countPadding whether zeros of the padding count */
export function averagePool(graph: Graph, x: Value, kernel: readonly number[], { strides, pads, dilations, ceil = false, countPadding = false }: PoolOptions & { readonly countPadding?: boolean } = {}): Value {
  return op(graph, "AveragePool", [x], { kernel_shape: kernel, strides, pads, dilations, ceil_mode: ceil ? 1 : undefined, count_include_pad: countPadding ? 1 : undefined });
}

/** ai.onnx::MaxUnpool: values back at the places that a MaxPool of windows apart took them from; the others are 0. */
export function maxUnpool(graph: Graph, x: Value, indices: Value, size: Value, kernel: readonly number[], strides: readonly number[]): Value {
  return op(graph, "MaxUnpool", [x, indices, size], { kernel_shape: kernel, strides });
}

/** ai.onnx::GlobalAveragePool: [n, c, …space] → [n, c, 1, …]. */
export const globalAveragePool = (graph: Graph, x: Value): Value => op(graph, "GlobalAveragePool", [x]);
/** ai.onnx::GlobalMaxPool: [n, c, …space] → [n, c, 1, …]. */
export const globalMaxPool = (graph: Graph, x: Value): Value => op(graph, "GlobalMaxPool", [x]);

/** How {@link resize} finds the place of an output element in the input. */
export interface ResizeOptions {
  /** @default "nearest" */
  readonly mode?: "nearest" | "linear" | "cubic";
  /** @default "half_pixel" */
  readonly coordinates?: "half_pixel" | "align_corners" | "asymmetric" | "pytorch_half_pixel";
  /** Which neighbour is the nearest. @default "round_prefer_floor" */
  readonly nearest?: "round_prefer_floor" | "round_prefer_ceil" | "floor" | "ceil";
}

/** ai.onnx::Resize to sizes of all axes. */
export function resize(graph: Graph, x: Value, sizes: readonly number[], { mode = "nearest", coordinates = "half_pixel", nearest }: ResizeOptions = {}): Value {
  const target = graph.constant("INT64", [sizes.length], sizes.map(BigInt));
  return op(graph, "Resize", [x, undefined, undefined, target], { mode, coordinate_transformation_mode: coordinates, nearest_mode: mode === "nearest" ? nearest : undefined });
}
