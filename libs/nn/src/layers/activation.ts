import { mul, relu, sigmoid, tanh, type Value } from "@servable/onnx";
import { same, splitLast } from "../nodes.ts";
import type { Scope } from "../scope.ts";

/** An activation by its name. */
export type Activation = "relu" | "gelu" | "gelu-tanh" | "silu" | "tanh" | "sigmoid" | "leaky-relu" | "elu" | "identity";

/** Applies an activation elementwise. */
export function activate(nn: Scope, x: Value, activation: Activation): Value {
  const { graph } = nn;
  switch (activation) {
    case "relu":
      return relu(graph, x);
    case "gelu":
      return gelu(nn, x);
    case "gelu-tanh":
      return gelu(nn, x, "tanh");
    case "silu":
      return silu(nn, x);
    case "tanh":
      return tanh(graph, x);
    case "sigmoid":
      return sigmoid(graph, x);
    case "leaky-relu":
      return same(graph, "LeakyRelu", x, { alpha: { float: 0.01 } });
    case "elu":
      return same(graph, "Elu", x, { alpha: { float: 1 } });
    case "identity":
      return x;
    default: {
      const never: never = activation;
      return never;
    }
  }
}

/** x·Φ(x), exactly or by tanh. Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016). */
export const gelu = ({ graph }: Scope, x: Value, approximate: "none" | "tanh" = "none"): Value => same(graph, "Gelu", x, { approximate });

/** x·sigmoid(x). Source: Elfwing, Uchibe & Doya, Sigmoid-Weighted Linear Units (2017). */
export const silu = ({ graph }: Scope, x: Value): Value => mul(graph, x, sigmoid(graph, x));

/** silu(gate)·up. Source: Shazeer, GLU Variants Improve Transformer (2020). */
export const swiglu = (nn: Scope, gate: Value, up: Value): Value => mul(nn.graph, silu(nn, gate), up);

/** The first half gated by the second: a·sigmoid(b). x: [… 2·size] → [… size]. Source: Dauphin et al., Language Modeling with Gated Convolutional Networks (2017). */
export function glu({ graph }: Scope, x: Value): Value {
  const [a, b] = splitLast(graph, x, 2) as [Value, Value];
  return mul(graph, a, sigmoid(graph, b));
}
