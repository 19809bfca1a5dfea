import { ELEMENT_TYPES, cast, div, exp, greater, mul, neg, sigmoid, sub } from "@servable/onnx";
import { operands, unbroadcast, type Rule } from "./rule.ts";

// g = upstream gradient, y = output.

/** Elementwise operators. */
export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  /** g; g */
  Add: (context) => {
    const { a, b } = operands(context);
    return [a, b].map((operand) => unbroadcast(context.graph, context.upstream, operand));
  },
  /** g; -g */
  Sub: (context) => {
    const { a, b } = operands(context);
    return [unbroadcast(context.graph, context.upstream, a), context.needed[1] === true ? unbroadcast(context.graph, neg(context.graph, context.upstream), b) : undefined];
  },
  /** g·b; g·a */
  Mul: ({ graph, upstream, needed, ...rest }) => {
    const { a, b } = operands({ graph, upstream, needed, ...rest });
    return [needed[0] === true ? unbroadcast(graph, mul(graph, upstream, b), a) : undefined, needed[1] === true ? unbroadcast(graph, mul(graph, upstream, a), b) : undefined];
  },
  /** g/b; -g·y/b */
  Div: ({ graph, upstream, needed, ...rest }) => {
    const { a, b, y } = operands({ graph, upstream, needed, ...rest });
    return [needed[0] === true ? unbroadcast(graph, div(graph, upstream, b), a) : undefined, needed[1] === true ? unbroadcast(graph, neg(graph, div(graph, mul(graph, upstream, y), b)), b) : undefined];
  },
  /** -g */
  Neg: ({ graph, upstream }) => [neg(graph, upstream)],
  /** g */
  Identity: ({ upstream }) => [upstream],
  /** g·y */
  Exp: (context) => [mul(context.graph, context.upstream, operands(context).y)],
  /** g/x */
  Log: (context) => [div(context.graph, context.upstream, operands(context).a)],
  /** g·[y > 0]; comparing the output keeps one tensor less alive than comparing the input. */
  Relu: (context) => {
    const { graph, upstream } = context;
    const positive = greater(graph, operands(context).y, graph.constant("FP32", [], [0]));
    return [mul(graph, upstream, cast(graph, positive, "FP32", ELEMENT_TYPES.FP32))];
  },
  /** g·y·(1-y) */
  Sigmoid: (context) => {
    const { graph, upstream } = context;
    const { y } = operands(context);
    return [mul(graph, upstream, mul(graph, y, sub(graph, graph.constant("FP32", [], [1]), y)))];
  },
  /** g·(1-y²) */
  Tanh: (context) => {
    const { graph, upstream } = context;
    const { y } = operands(context);
    return [mul(graph, upstream, sub(graph, graph.constant("FP32", [], [1]), mul(graph, y, y)))];
  },
  /** g·sigmoid(x) */
  Softplus: (context) => [mul(context.graph, context.upstream, sigmoid(context.graph, operands(context).a))],
  /** g - exp(y)·Σg over the last axis */
  LogSoftmax: (context) => {
    const { graph, upstream } = context;
    const { y } = operands(context);
    return [sub(graph, upstream, mul(graph, exp(graph, y), lastAxisSum(graph, upstream)))];
  },
  /** y·(g - Σ(g·y)) over the last axis */
  Softmax: (context) => {
    const { graph, upstream } = context;
    const { y } = operands(context);
    return [mul(graph, y, sub(graph, upstream, lastAxisSum(graph, mul(graph, upstream, y))))];
  },
};

function lastAxisSum(graph: Parameters<typeof mul>[0], x: Parameters<typeof mul>[1]): Parameters<typeof mul>[1] {
  const axis = graph.constant("INT64", [1], [-1n]);
  return graph.node("ReduceSum", [x, axis], { datatype: x.datatype, shape: x.shape.map((dimension, index) => (index === x.shape.length - 1 ? 1 : dimension)) }, { keepdims: 1 });
}
