import type { Value } from "@servable/onnx";
import { activate, type Activation } from "../layers/activation.ts";
import { dropout } from "../layers/dropout.ts";
import { linear } from "../layers/linear.ts";
import type { Scope } from "../scope.ts";

/** A multi-layer perceptron; without hidden layers it is linear, logistic or softmax regression. */
export interface MlpOptions {
  /** Units of each hidden layer. @default none */
  readonly hidden?: readonly number[];
  /** Numbers a row: 1 for a value or two classes, one a class for more. */
  readonly outputs: number;
  /** @default "relu" */
  readonly activation?: Activation;
  /** Dropout behind each hidden layer. @default 0 */
  readonly dropout?: number;
}

/** x: [batch, features] → [batch, outputs]. Parameters: layers.0.weight, layers.0.bias, layers.1.weight … as torch.nn.Linear. */
export function mlp(nn: Scope, x: Value, { hidden = [], outputs, activation = "relu", dropout: rate = 0 }: MlpOptions): Value {
  let value = x;
  for (const [index, units] of hidden.entries()) value = dropout(nn, activate(nn, linear(nn.child(`layers.${index}`), value, units), activation), rate, `layers.${index}.dropout`);
  return linear(nn.child(`layers.${hidden.length}`), value, outputs);
}
