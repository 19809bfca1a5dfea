// Residual networks. Source: He et al., Deep Residual Learning for Image Recognition (2016).

import { add, relu, type Value } from "@servable/onnx";
import { heNormal } from "../initializers.ts";
import { conv } from "../layers/convolution.ts";
import { linear } from "../layers/linear.ts";
import { batchNorm } from "../layers/normalization.ts";
import { globalAveragePool, maxPool } from "../layers/pooling.ts";
import { ints, scalar, sizeOf } from "../nodes.ts";
import type { Scope } from "../scope.ts";

/** Shape of a residual network of basic blocks. */
export interface ResnetOptions {
  /** Blocks of each stage; each stage after the first halves the picture. */
  readonly blocks: readonly number[];
  /** Channels of each stage. */
  readonly channels: readonly number[];
  readonly classes: number;
  /** "small": a 3×3 convolution for pictures of about 32×32; "large": 7×7 of stride 2 and a pool. */
  readonly stem: "small" | "large";
  /**
   * Where a block changes size: "convolution" 1×1 with batch normalisation (torchvision), or "pad": every other pixel, missing
   * channels zero (section 4.2 of the paper, no parameters).
   */
  readonly shortcut: "convolution" | "pad";
  /** Name of the last layer. @default "fc" */
  readonly head?: string;
}

/** A residual network. x: [batch, 3, height, width] → [batch, classes]. Parameters as torchvision: conv1, bn1, layer1.0.conv1, …, fc. */
export function resnet(nn: Scope, x: Value, { blocks, channels, classes, stem, shortcut, head = "fc" }: ResnetOptions): Value {
  const { graph } = nn;
  const first = conv(nn.child("conv1"), x, channels[0] ?? 16, { ...(stem === "small" ? { kernel: 3, padding: 1 } : { kernel: 7, stride: 2, padding: 3 }), bias: false, initialize: heNormal });
  let value = relu(graph, batchNorm(nn.child("bn1"), first));
  if (stem === "large") value = maxPool(nn, value, { kernel: 3, stride: 2, padding: 1 });
  for (const [stage, count] of blocks.entries()) {
    for (let block = 0; block < count; block++) value = basicBlock(nn.child(`layer${stage + 1}.${block}`), value, channels[stage] ?? 16, stage > 0 && block === 0 ? 2 : 1, shortcut);
  }
  return linear(nn.child(head), globalAveragePool(nn, value), classes);
}

/** ResNet-20 for pictures of 32×32: 0.27 million parameters. Names and shortcuts as akamaster/pytorch_resnet_cifar10 has them. */
export const resnet20 = (nn: Scope, x: Value, classes = 10): Value => resnet(nn, x, { blocks: [3, 3, 3], channels: [16, 32, 64], classes, stem: "small", shortcut: "pad", head: "linear" });

/** ResNet-18 as torchvision has it: 11.7 million parameters for 1,000 classes. */
export const resnet18 = (nn: Scope, x: Value, classes = 1000): Value => resnet(nn, x, { blocks: [2, 2, 2, 2], channels: [64, 128, 256, 512], classes, stem: "large", shortcut: "convolution" });

function basicBlock(nn: Scope, x: Value, channels: number, stride: number, shortcut: ResnetOptions["shortcut"]): Value {
  const { graph } = nn;
  const half = relu(graph, batchNorm(nn.child("bn1"), conv(nn.child("conv1"), x, channels, { kernel: 3, stride, padding: 1, bias: false, initialize: heNormal })));
  const whole = batchNorm(nn.child("bn2"), conv(nn.child("conv2"), half, channels, { kernel: 3, padding: 1, bias: false, initialize: heNormal }));
  return relu(graph, add(graph, whole, besides(nn, x, channels, stride, shortcut)));
}

/** What a block adds its convolutions to: x itself, or x in their size. */
function besides(nn: Scope, x: Value, channels: number, stride: number, shortcut: ResnetOptions["shortcut"]): Value {
  const { graph } = nn;
  const before = sizeOf(x, 1);
  if (stride === 1 && before === channels) return x;
  if (shortcut === "convolution") {
    return batchNorm(nn.child("downsample.1"), conv(nn.child("downsample.0"), x, channels, { kernel: 1, stride, bias: false, initialize: heNormal }));
  }
  const [batch = 1, , height, width] = [x.shape[0], 0, Math.ceil(sizeOf(x, 2) / stride), Math.ceil(sizeOf(x, 3) / stride)];
  const picked = graph.node("Slice", [x, ints(graph, [0, 0]), ints(graph, [sizeOf(x, 2), sizeOf(x, 3)]), ints(graph, [2, 3]), ints(graph, [stride, stride])], { datatype: x.datatype, shape: [batch, before, height, width] });
  const missing = channels - before;
  const front = Math.floor(missing / 2);
  return graph.node("Pad", [picked, ints(graph, [0, front, 0, 0, 0, missing - front, 0, 0]), scalar(graph, 0)], { datatype: x.datatype, shape: [batch, channels, height, width] }, { mode: "constant" });
}
