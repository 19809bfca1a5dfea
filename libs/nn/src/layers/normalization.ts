import { add, batchNormalization, div, mul, reduceMean, trainingBatchNormalization, type Value } from "@servable/onnx";
import { ones, zeros } from "../initializers.ts";
import { same, scalar, sizeOf, times } from "../nodes.ts";
import type { Scope } from "../scope.ts";

/** Settings of a normalisation. */
export interface NormOptions {
  /** Added to the variance. @default 1e-5 */
  readonly epsilon?: number;
  /** Whether there is a bias. @default true */
  readonly bias?: boolean;
}

/**
 * Layer normalisation over the last axis. x: [… size].
 *
 * Parameters as torch.nn.LayerNorm: weight [size], bias [size]. Source: Ba, Kiros & Hinton, Layer Normalization (2016).
 */
export function layerNorm(nn: Scope, x: Value, { epsilon = 1e-5, bias = true }: NormOptions = {}): Value {
  const size = sizeOf(x, -1);
  const inputs = [x, nn.parameter("weight", [size], ones), ...(bias ? [nn.parameter("bias", [size], zeros)] : [])];
  return nn.graph.node("LayerNormalization", inputs, { datatype: x.datatype, shape: x.shape }, { axis: -1, epsilon: { float: epsilon } });
}

/**
 * x/√(mean(x²) + ε)·weight over the last axis. x: [… size]; parameter weight [size].
 *
 * Source: Zhang & Sennrich, Root Mean Square Layer Normalization (2019).
 */
export function rmsNorm(nn: Scope, x: Value, { epsilon = 1e-5 }: Pick<NormOptions, "epsilon"> = {}): Value {
  const { graph } = nn;
  const weight = nn.parameter("weight", [sizeOf(x, -1)], ones);
  // Spelled out: the operator came with opset 23, and models that are served should load in older runtimes.
  const mean = reduceMean(graph, mul(graph, x, x), [x.shape.length - 1], true);
  const root = same(graph, "Sqrt", add(graph, mean, scalar(graph, epsilon)));
  return mul(graph, div(graph, x, root), weight);
}

/** Settings of a batch normalisation. */
export interface BatchNormOptions extends NormOptions {
  /** How much of a batch's statistics goes into the running ones. @default 0.1 */
  readonly momentum?: number;
}

/**
 * Batch normalisation: with the batch's mean and variance while training, with the running ones otherwise. x: [batch, size, …].
 *
 * Parameters as torch.nn.BatchNorm2d: weight [size], bias [size]; buffers running_mean, running_var [size]. As in PyTorch the
 * running variance is the unbiased one. Source: Ioffe & Szegedy, Batch Normalization (2015).
 */
export function batchNorm(nn: Scope, x: Value, { epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions = {}): Value {
  const { graph } = nn;
  const size = sizeOf(x, 1);
  const [scale, bias] = [nn.parameter("weight", [size], ones), nn.parameter("bias", [size], zeros)];
  const [mean, variance] = [nn.buffer("running_mean", [size], zeros), nn.buffer("running_var", [size], ones)];
  const statistics = { scale, bias, mean, variance };
  if (nn.mode !== "train") return batchNormalization(graph, x, statistics, epsilon);
  const batch = trainingBatchNormalization(graph, x, statistics, { epsilon });
  const moved = (running: Value, own: Value, correction = 1): Value => add(graph, times(graph, running, 1 - momentum), times(graph, own, momentum * correction));
  nn.setBuffer("running_mean", moved(mean, batch.mean));
  // The operator's variance is the biased one; m numbers a channel.
  const counted = x.shape.reduce<number>((product, _, axis) => (axis === 1 ? product : product * sizeOf(x, axis)), 1);
  nn.setBuffer("running_var", moved(variance, batch.variance, counted / Math.max(1, counted - 1)));
  return batch.output;
}

/**
 * Normalisation over the channels of a group and space. x: [batch, size, …].
 *
 * Parameters as torch.nn.GroupNorm: weight [size], bias [size]. Source: Wu & He, Group Normalization (2018).
 */
export function groupNorm(nn: Scope, x: Value, groups: number, { epsilon = 1e-5 }: Pick<NormOptions, "epsilon"> = {}): Value {
  const size = sizeOf(x, 1);
  return nn.graph.node("GroupNormalization", [x, nn.parameter("weight", [size], ones), nn.parameter("bias", [size], zeros)], { datatype: x.datatype, shape: x.shape }, { num_groups: groups, epsilon: { float: epsilon } });
}
