import { relu, type Graph, type Value } from "@servable/onnx";
import { glorotUniform, heUniform } from "../initializers.ts";
import { linear } from "../linear.ts";
import { randomStream } from "../random.ts";

/** Sizes of a multi-layer perceptron; without hidden layers it is logistic or softmax regression. */
export interface MlpShape {
  readonly inputs: number;
  /** Units of each hidden relu layer. */
  readonly hidden: readonly number[];
  /** Logits: 1 for two classes, one a class for more. */
  readonly outputs: number;
}

/** A parameter with its name, shape and first values. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Parameters in the order of the layers: weights by He before a relu, by Glorot before the logits; biases zero. */
export function initMlp({ inputs, hidden, outputs }: MlpShape, seed: number | bigint): Parameter[] {
  const sizes = [inputs, ...hidden, outputs];
  return sizes.slice(1).flatMap((fanOut, layer) => {
    const fanIn = sizes[layer] as number;
    const name = `layers.${layer}.weight`;
    const random = randomStream(seed, name);
    const last = layer === sizes.length - 2;
    return [
      { name, shape: [fanIn, fanOut], values: (last ? glorotUniform : heUniform)(fanIn, fanOut, random) },
      { name: `layers.${layer}.bias`, shape: [fanOut], values: new Float32Array(fanOut) },
    ];
  });
}

/** The logits [batch, outputs] of x [batch, inputs]; `parameters` are values in the order of {@link initMlp}. */
export function mlp(graph: Graph, x: Value, parameters: readonly Value[]): Value {
  let activation = x;
  for (let index = 0; index < parameters.length; index += 2) {
    const [weight, bias] = [parameters[index], parameters[index + 1]];
    if (weight === undefined || bias === undefined) throw new RangeError("a layer has a weight and a bias");
    activation = linear(graph, activation, weight, bias);
    if (index + 2 < parameters.length) activation = relu(graph, activation);
  }
  return activation;
}
