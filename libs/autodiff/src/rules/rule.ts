import { reduceSum, reshape, type Graph, type GraphNode, type Value } from "@servable/onnx";

/** What a rule works with. */
export interface RuleContext {
  readonly graph: Graph;
  readonly node: GraphNode;
  /** Gradient of the loss with respect to the node's output. */
  readonly upstream: Value;
  /** Which inputs need a gradient; the others may be left undefined. */
  readonly needed: readonly boolean[];
}

/** The gradients of a node's inputs, in their order. */
export type Rule = (context: RuleContext) => (Value | undefined)[];

/** The inputs and the output that a rule names; operators here have one output. */
export function operands({ node }: RuleContext): { a: Value; b: Value; y: Value } {
  const [a, b] = node.inputs;
  const [y] = node.outputs;
  if (a === undefined || y === undefined) throw new TypeError(`${node.opType} without operands`);
  return { a, b: b ?? a, y };
}

/** Sums a gradient down to the shape of the operand that was broadcast: over axes it lacks and axes where it has size 1. */
export function unbroadcast(graph: Graph, gradient: Value, to: Value): Value {
  const extra = gradient.shape.length - to.shape.length;
  const axes = gradient.shape.flatMap((dimension, axis) => (axis < extra || (to.shape[axis - extra] === 1 && dimension !== 1) ? [axis] : []));
  if (axes.length === 0) return gradient;
  const summed = reduceSum(graph, gradient, axes);
  return summed.shape.join() === to.shape.join() ? summed : reshape(graph, summed, to.shape);
}
