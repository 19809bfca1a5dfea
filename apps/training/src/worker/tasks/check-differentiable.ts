import { gradients } from "@servable/autodiff";
import { StatusError } from "@servable/errors";
import { Scope, type Network } from "@servable/nn";
import { GraphError } from "@servable/onnx";

/**
 * Builds a network's training graph once, so that an operator without a gradient is found before the first step.
 *
 * @throws StatusError `MODEL_REFUSED` naming operator and node, and what is supported
 */
export function checkDifferentiable(network: Network, dimensions: Readonly<Record<string, number>>): void {
  try {
    const nn = new Scope({ mode: "train", dimensions });
    const { loss } = network(nn);
    if (loss === undefined) throw new TypeError("a network under training has a loss");
    gradients(nn.graph, loss, nn.parameters.filter(({ trainable }) => trainable).map(({ value }) => value));
  } catch (error) {
    if (error instanceof GraphError) throw new StatusError("MODEL_REFUSED", `the base model cannot be trained: ${error.message}`, { cause: error });
    throw error;
  }
}
