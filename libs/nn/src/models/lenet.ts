import { relu, type Value } from "@servable/onnx";
import { conv } from "../layers/convolution.ts";
import { linear } from "../layers/linear.ts";
import { flatten, maxPool } from "../layers/pooling.ts";
import type { Scope } from "../scope.ts";

/**
 * LeNet-5 with relu and max pooling: 61,706 parameters for ten classes of 28×28. x: [batch, channels, height, width] → [batch, classes].
 *
 * Parameters: conv1, conv2, fc1, fc2, fc3. Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), figure 2.
 */
export function lenet(nn: Scope, x: Value, classes: number): Value {
  const { graph } = nn;
  // 28×28 pictures are padded to the 32×32 of the paper; larger ones have their own rim.
  const first = conv(nn.child("conv1"), x, 6, { kernel: 5, padding: 2 });
  const half = maxPool(nn, relu(graph, first), { kernel: 2 });
  const quarter = maxPool(nn, relu(graph, conv(nn.child("conv2"), half, 16, { kernel: 5 })), { kernel: 2 });
  const wide = relu(graph, linear(nn.child("fc1"), flatten(nn, quarter), 120));
  return linear(nn.child("fc3"), relu(graph, linear(nn.child("fc2"), wide, 84)), classes);
}

/** Two 3×3 convolutions of 32 and 64 channels, each halved, and two linear layers. x: [batch, channels, height, width] → [batch, classes]. */
export function smallCnn(nn: Scope, x: Value, classes: number): Value {
  const { graph } = nn;
  const half = maxPool(nn, relu(graph, conv(nn.child("conv1"), x, 32, { kernel: 3, padding: 1 })), { kernel: 2 });
  const quarter = maxPool(nn, relu(graph, conv(nn.child("conv2"), half, 64, { kernel: 3, padding: 1 })), { kernel: 2 });
  return linear(nn.child("fc2"), relu(graph, linear(nn.child("fc1"), flatten(nn, quarter), 128)), classes);
}
