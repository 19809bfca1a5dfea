import { windowOf, reduceMean, type Dimension, type Value } from "@servable/onnx";
import { reshapeBehind } from "../nodes.ts";
import type { Scope } from "../scope.ts";
import { perAxis } from "./convolution.ts";

/** Settings of a pool; one number counts for every axis. */
export interface PoolOptions {
  readonly kernel: number | readonly number[];
  /** @default the kernel: windows that do not overlap */
  readonly stride?: number | readonly number[];
  /** On both sides. @default 0 */
  readonly padding?: number | readonly number[];
}

/** The largest value of each window. x: [batch, channels, …]. */
export const maxPool = (nn: Scope, x: Value, options: PoolOptions): Value => pool(nn, "MaxPool", x, options);

/** The mean of each window, padding counted as zeros as torch.nn.AvgPool2d does. x: [batch, channels, …]. */
export const averagePool = (nn: Scope, x: Value, options: PoolOptions): Value => pool(nn, "AveragePool", x, options, { count_include_pad: 1 });

/** The mean over space: [batch, channels, …] → [batch, channels]. */
export function globalAveragePool({ graph }: Scope, x: Value): Value {
  return reduceMean(graph, x, x.shape.slice(2).map((_, axis) => axis + 2));
}

/** Everything behind the first axis as one: [batch, channels, height, width] → [batch, channels·height·width]. */
export function flatten({ graph }: Scope, x: Value): Value {
  const sizes = x.shape.slice(1).map(Number);
  return reshapeBehind(graph, x, 1, [sizes.reduce((product, size) => product * size, 1)]);
}

function pool({ graph }: Scope, opType: string, x: Value, options: PoolOptions, more: Record<string, number> = {}): Value {
  const rank = x.shape.length - 2;
  const kernel = perAxis(options.kernel, rank);
  const pads = perAxis(options.padding ?? 0, rank);
  const attributes = { kernel_shape: kernel, strides: perAxis(options.stride ?? options.kernel, rank), pads: [...pads, ...pads], ...more };
  const window = windowOf({ opType, attributes }, x.shape.slice(2), kernel);
  const spatial = kernel.map((_, axis): Dimension => window.outputSize(axis) ?? `${String(x.shape[axis + 2])}'`);
  return graph.node(opType, [x], { datatype: x.datatype, shape: [x.shape[0] ?? 1, x.shape[1] ?? 1, ...spatial] }, attributes);
}
