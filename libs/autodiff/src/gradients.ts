// Reverse-mode differentiation of graphs: one walk from the loss to what it depends on, one local rule for each operator.
// The gradients are nodes of the same graph, so whatever runs the forward pass runs the backward pass.

import { isFloat } from "@servable/tensor";
import { Graph, GraphError, add, type GraphNode, type Value } from "@servable/onnx";
import { MULTIPLE_OUTPUTS, RULES } from "./rules/index.ts";
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
export function gradients(graph: Graph, loss: Value, wrt: readonly Value[]): Value[] {
  if (loss.shape.some((dimension) => dimension !== 1)) throw new GraphError(`the loss has shape [${loss.shape.join()}], one element is needed`);
  const nodes = [...graph.nodes];
  const wanted = dependents(nodes, wrt);
  const collected = new Map<Value, Value>([[loss, graph.constant(loss.datatype, loss.shape.map(() => 1), [1])]]);
  for (const node of nodes.reverse()) {
    const upstreams = node.outputs.map((output) => (output !== undefined && wanted.has(output) ? collected.get(output) : undefined));
    if (upstreams.every((upstream) => upstream === undefined)) continue;
    const needed = node.inputs.map((input) => input !== undefined && wanted.has(input));
    inputGradients(graph, node, upstreams, needed).forEach((gradient, index) => {
      const input = node.inputs[index];
      if (gradient === undefined || input === undefined || needed[index] !== true) return;
      const before = collected.get(input);
      collected.set(input, before === undefined ? gradient : add(graph, before, gradient));
    });
  }
  return wrt.map((value) => collected.get(value) ?? zerosLike(graph, value));
}

/** Whether `loss` depends on `value` in a way that gradients see. */
export function isDifferentiablePath(graph: Graph, loss: Value, value: Value): boolean {
  return dependents(graph.nodes, [value]).has(loss);
}

function inputGradients(graph: Graph, node: GraphNode, upstreams: readonly (Value | undefined)[], needed: readonly boolean[]): (Value | undefined)[] {
  const operator = node.domain === "" || node.domain === "ai.onnx" ? node.opType : `${node.domain}::${node.opType}`;
  const where = node.outputs.find((output) => output !== undefined)?.name ?? "";
  const rule = RULES[operator];
  if (rule === undefined) throw new GraphError(`${operator} has no gradient rule ("${where}")`);
  const single = !MULTIPLE_OUTPUTS.has(operator);
  const [upstream] = single ? upstreams : upstreams.filter((each) => each !== undefined);
  if (upstream === undefined || (single && upstreams.slice(1).some((each) => each !== undefined))) throw new GraphError(`${operator} has no gradient rule for outputs after its first ("${where}")`);
  try {
    return rule({ graph, node, upstream, upstreams, needed });
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${operator} ("${where}"): ${error.message}`, { cause: error });
    throw error;
  }
}

/** Values that depend on any of `wrt`, those included: nodes stand in order of computation. */
function dependents(nodes: readonly GraphNode[], wrt: readonly Value[]): Set<Value> {
  const found = new Set(wrt);
  for (const { opType, inputs, outputs } of nodes) {
    if (!inputs.some((input) => input !== undefined && found.has(input))) continue;
    // Quantized values are whole numbers, and yet the straight-through estimator leads through them.
    for (const output of outputs) if (output !== undefined && (isFloat(output.datatype) || opType === "QuantizeLinear")) found.add(output);
  }
  return found;
}
