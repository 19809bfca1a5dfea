import { GraphError, windowOf, type Dimension, type Value } from "@servable/onnx";
import { fanIn, kaimingUniform, uniform } from "../initializers.ts";
import { sizeOf } from "../nodes.ts";
import type { Initializer, Scope } from "../scope.ts";

/** Settings of a convolution; one number counts for every axis. */
export interface ConvOptions {
  readonly kernel: number | readonly number[];
  /** @default 1 */
  readonly stride?: number | readonly number[];
  /** On both sides. @default 0 */
  readonly padding?: number | readonly number[];
  /** @default 1 */
  readonly dilation?: number | readonly number[];
  /** @default 1 */
  readonly groups?: number;
  /** @default true */
  readonly bias?: boolean;
  /** @default as PyTorch: uniform within ±1/√fanIn */
  readonly initialize?: Initializer;
}

/**
 * Convolution over one, two or three axes. x: [batch, channels, …] → [batch, outputs, …].
 *
 * Parameters as torch.nn.Conv2d: weight [outputs, channels/groups, kernel…], bias [outputs].
 */
export function conv(nn: Scope, x: Value, outputs: number, options: ConvOptions): Value {
  const { groups = 1, bias = true, initialize = kaimingUniform } = options;
  const rank = x.shape.length - 2;
  const kernel = perAxis(options.kernel, rank);
  const [strides, pads, dilations] = [perAxis(options.stride ?? 1, rank), perAxis(options.padding ?? 0, rank), perAxis(options.dilation ?? 1, rank)];
  const channels = sizeOf(x, 1);
  if (channels % groups !== 0 || outputs % groups !== 0) throw new GraphError(`Conv of ${channels} to ${outputs} channels in ${groups} groups: both must be divisible`);
  const shape = [outputs, channels / groups, ...kernel];
  const weight = nn.parameter("weight", shape, initialize);
  const attributes = { kernel_shape: kernel, strides, pads: [...pads, ...pads], dilations, group: groups };
  const window = windowOf({ opType: "Conv", attributes }, x.shape.slice(2), kernel);
  const spatial = kernel.map((_, axis): Dimension => window.outputSize(axis) ?? `${String(x.shape[axis + 2])}'`);
  const inputs = bias ? [x, weight, nn.parameter("bias", [outputs], uniform(1 / Math.sqrt(fanIn(shape))))] : [x, weight];
  return nn.graph.node("Conv", inputs, { datatype: x.datatype, shape: [x.shape[0] ?? 1, outputs, ...spatial] }, attributes);
}

/** Settings of a transposed convolution. */
export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns that are added behind, smaller than the stride. @default 0 */
  readonly outputPadding?: number | readonly number[];
}

/**
 * Transposed convolution: what a convolution of these settings shrank, it widens. x: [batch, channels, …] → [batch, outputs, …].
 *
 * Parameters as torch.nn.ConvTranspose2d: weight [channels, outputs/groups, kernel…], bias [outputs].
 */
export function convTranspose(nn: Scope, x: Value, outputs: number, options: ConvTransposeOptions): Value {
  const { groups = 1, bias = true, initialize = kaimingUniform } = options;
  const rank = x.shape.length - 2;
  const kernel = perAxis(options.kernel, rank);
  const [strides, pads, dilations, behind] = [perAxis(options.stride ?? 1, rank), perAxis(options.padding ?? 0, rank), perAxis(options.dilation ?? 1, rank), perAxis(options.outputPadding ?? 0, rank)];
  const shape = [sizeOf(x, 1), outputs / groups, ...kernel];
  const weight = nn.parameter("weight", shape, initialize);
  const spatial = kernel.map((size, axis) => (sizeOf(x, axis + 2) - 1) * (strides[axis] ?? 1) - 2 * (pads[axis] ?? 0) + (dilations[axis] ?? 1) * (size - 1) + (behind[axis] ?? 0) + 1);
  const inputs = bias ? [x, weight, nn.parameter("bias", [outputs], uniform(1 / Math.sqrt(fanIn(shape))))] : [x, weight];
  return nn.graph.node("ConvTranspose", inputs, { datatype: x.datatype, shape: [x.shape[0] ?? 1, outputs, ...spatial] }, { kernel_shape: kernel, strides, pads: [...pads, ...pads], dilations, group: groups, output_padding: behind });
}

/** One number for every axis, or one each. @throws GraphError */
export function perAxis(value: number | readonly number[], rank: number): number[] {
  const list = typeof value === "number" ? Array.from({ length: rank }, () => value) : [...value];
  if (list.length !== rank) throw new GraphError(`${list.length} numbers for ${rank} axes`);
  return list;
}
