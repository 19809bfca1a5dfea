// Reverse-mode differentiation of graphs. The gradients are nodes of the same graph, so whatever runs the forward pass runs the
// backward pass.

import type { Graph, Value } from "@servable/onnx";
import { dependents, walkBackward, type GradientOptions } from "./backward-walk.ts";
import { zerosLike } from "./rules/rule.ts";

/**
 * Adds to the graph the gradient of `loss` with respect to each of `wrt`.
 *
 * Each gradient has the shape and datatype of its value; one that `loss` does not depend on is zeros. Only nodes between the
 * loss and `wrt` get gradients. Whole numbers, conditions and shapes carry none: the walk stops there.
 *
 * Source: reverse accumulation, Griewank & Walther, Evaluating Derivatives (2008), chapter 3.
 *
 * @throws GraphError when `loss` has more than one element, or an operator on the way has no rule
 * @example const [dw] = gradients(graph, loss, [w]); // for loss = mean(x·w): MatMul(Transpose(x), dy)
 */
export function gradients(graph: Graph, loss: Value, wrt: readonly Value[], options: GradientOptions = {}): Value[] {
  const { gradients: collected } = walkBackward(graph, loss, wrt, options);
  return wrt.map((value) => collected.get(value) ?? zerosLike(graph, value));
}

/** Whether `loss` depends on `value` in a way that gradients see. */
export function isDifferentiablePath(graph: Graph, loss: Value, value: Value): boolean {
  return dependents(graph.nodes, [value]).has(loss);
}
