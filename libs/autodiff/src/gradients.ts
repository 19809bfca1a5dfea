// Reverse-mode differentiation of graphs: one walk from the loss to what it depends on, one local rule for each operator.
// The gradients are nodes of the same graph, so whatever runs the forward pass runs the backward pass.

import { Graph, GraphError, add, expandLike, type GraphNode, type Value } from "@servable/onnx";
import { RULES } from "./rules/index.ts";

/**
 * Adds to the graph the gradient of `loss` with respect to each of `wrt`.
 *
 * Each gradient has the shape and datatype of its value; one that `loss` does not depend on is zeros. Only nodes between the
 * loss and `wrt` get gradients.
 *
 * Source: reverse accumulation, Griewank & Walther, Evaluating Derivatives (2008), chapter 3.
 *
 * @throws GraphError when `loss` has more than one element, or an operator on the way has no rule
 * @example const [dw] = gradients(graph, loss, [w]); // for loss = mean(x·w): MatMul(Transpose(x), dy)
 */
export function gradients(graph: Graph, loss: Value, wrt: readonly Value[]): Value[] {
  if (loss.shape.some((dimension) => dimension !== 1)) throw new GraphError(`the loss has shape [${loss.shape.join()}], one element is needed`);
  const nodes = [...graph.nodes];
  const wanted = dependents(nodes, wrt);
  const collected = new Map<Value, Value>([[loss, graph.constant("FP32", loss.shape.map(() => 1), [1])]]);
  for (const node of nodes.reverse()) {
    const output = node.outputs[0];
    const upstream = output && collected.get(output);
    if (output === undefined || upstream === undefined || !wanted.has(output)) continue;
    const rule = RULES[node.opType];
    if (rule === undefined) throw new GraphError(`${node.opType} has no gradient rule ("${output.name}")`);
    const needed = node.inputs.map((input) => input !== undefined && wanted.has(input));
    rule({ graph, node, upstream, needed }).forEach((gradient, index) => {
      const input = node.inputs[index];
      if (gradient === undefined || input === undefined || needed[index] !== true) return;
      const before = collected.get(input);
      collected.set(input, before === undefined ? gradient : add(graph, before, gradient));
    });
  }
  return wrt.map((value) => collected.get(value) ?? expandLike(graph, graph.constant("FP32", [], [0]), value));
}

/** Values that depend on any of `wrt`, those included: nodes stand in order of computation. */
function dependents(nodes: readonly GraphNode[], wrt: readonly Value[]): Set<Value> {
  const found = new Set(wrt);
  for (const { inputs, outputs } of nodes) if (inputs.some((input) => input !== undefined && found.has(input))) for (const output of outputs) found.add(output);
  return found;
}
