import { elementsOf } from "@servable/tensor";
import { ELEMENT_TYPES, GraphError, cast, div, isUnknown, mul, reduceSum, reshape, type Dimension, type Graph, type GraphNode, type Value } from "@servable/onnx";

/** What a rule works with. */
export interface RuleContext {
  readonly graph: Graph;
  readonly node: GraphNode;
  /** Gradient of the loss with respect to the node's first output. */
  readonly upstream: Value;
  /** The same for each output; undefined where the loss does not depend on it. Only rules in MULTIPLE_OUTPUTS look at more than the first. */
  readonly upstreams: readonly (Value | undefined)[];
  /** Which inputs need a gradient; the others may be left undefined. */
  readonly needed: readonly boolean[];
  /** Whether operators of onnxruntime's own (com.microsoft) may be used. */
  readonly contrib: boolean;
}

/** The gradients of a node's inputs, in their order. */
export type Rule = (context: RuleContext) => (Value | undefined)[];

/** The inputs and the first output that a rule names. */
export function operands({ node }: Pick<RuleContext, "node">): { a: Value; b: Value; y: Value } {
  const [a, b] = node.inputs;
  const [y] = node.outputs;
  if (a === undefined || y === undefined) throw new TypeError(`${node.opType} without operands`);
  return { a, b: b ?? a, y };
}

/** An input that the formula needs. @throws GraphError */
export function inputOf({ node }: Pick<RuleContext, "node">, index: number): Value {
  const value = node.inputs[index];
  if (value === undefined) throw new GraphError(`${node.opType} lacks its input ${index}`);
  return value;
}

/** A number of the datatype of another value. */
export const scalar = (graph: Graph, like: Value, value: number): Value => graph.constant(like.datatype, [], [value]);

/** value · number. */
export const times = (graph: Graph, x: Value, factor: number): Value => mul(graph, x, scalar(graph, x, factor));

/** The numbers of a constant operand, undefined where it is computed. */
export function numbersOf(graph: Graph, value: Value | undefined): readonly number[] | undefined {
  const tensor = value && graph.initializers.get(value.name)?.tensor;
  return tensor && elementsOf(tensor).map(Number);
}

/** Whole numbers as an operand. */
export const ints = (graph: Graph, values: readonly number[]): Value => graph.constant("INT64", [values.length], values.map(BigInt));

/** 1 where a condition holds, else 0. */
export const indicator = (graph: Graph, condition: Value, like: Value): Value => cast(graph, condition, like.datatype, ELEMENT_TYPES[like.datatype]);

/** Nodes that have the shape and datatype of `like`. */
export function sameAs(graph: Graph, opType: string, inputs: readonly (Value | undefined)[], like: Value, attributes: Parameters<Graph["node"]>[3] = {}, domain = ""): Value {
  return graph.node(opType, inputs, { datatype: like.datatype, shape: like.shape }, attributes, domain);
}

/** The sizes of a value's axes from `start` to before `end`: INT64[end - start]. */
export function sizesOf(graph: Graph, x: Value, start = 0, end = x.shape.length): Value {
  const sizes = x.shape.slice(start, end);
  if (sizes.every((size) => typeof size === "number")) return ints(graph, sizes);
  return graph.node("Shape", [x], { datatype: "INT64", shape: [sizes.length] }, { start, end });
}

/** Joins lists of sizes; numbers stand for themselves. */
export function sizeList(graph: Graph, ...parts: readonly (Value | readonly number[])[]): Value {
  const values = parts.filter((part) => !Array.isArray(part) || part.length > 0).map((part) => (Array.isArray(part) ? ints(graph, part as readonly number[]) : (part as Value)));
  const length = values.reduce((sum, { shape }) => sum + Number(shape[0]), 0);
  const [first] = values;
  return values.length === 1 && first !== undefined ? first : graph.node("Concat", values, { datatype: "INT64", shape: [length] }, { axis: 0 });
}

/** Reshapes to sizes that are found out when the graph runs; `shape` is what is known of them now. */
export function reshapeTo(graph: Graph, x: Value, sizes: Value, shape: readonly Dimension[]): Value {
  return graph.node("Reshape", [x, sizes], { datatype: x.datatype, shape });
}

/** The shape of another value, known only when it runs where a dimension varies. */
export function reshapeLike(graph: Graph, x: Value, like: Value): Value {
  if (like.shape.filter((size) => typeof size === "string").length <= 1) return reshape(graph, x, like.shape);
  return reshapeTo(graph, x, sizesOf(graph, like), like.shape);
}

/** Spreads a value to the shape of another one that it broadcasts to. */
export function spreadLike(graph: Graph, x: Value, like: Value): Value {
  if (x.shape.join() === like.shape.join()) return x;
  return graph.node("Expand", [x, sizesOf(graph, like)], { datatype: x.datatype, shape: like.shape });
}

/** Zeros of the shape and datatype of a value. */
export function zerosLike(graph: Graph, like: Value): Value {
  return graph.node("Expand", [scalar(graph, like, 0), sizesOf(graph, like)], { datatype: like.datatype, shape: like.shape });
}

/** The sum over axes, which stay with size 1. */
export const sumOver = (graph: Graph, x: Value, axes: readonly number[]): Value => (axes.length === 0 ? x : reduceSum(graph, x, axes, true));

/** The mean over axes, which stay with size 1. */
export const meanOver = (graph: Graph, x: Value, axes: readonly number[]): Value => div(graph, sumOver(graph, x, axes), countOver(graph, x, axes));

/** How many elements the axes have together, as a number of the value's datatype. */
export function countOver(graph: Graph, x: Value, axes: readonly number[]): Value {
  const sizes = axes.map((axis) => x.shape[axis]);
  if (sizes.every((size) => typeof size === "number")) return scalar(graph, x, sizes.reduce((product, size) => product * size, 1));
  const picked = graph.node("Gather", [sizesOf(graph, x), ints(graph, axes)], { datatype: "INT64", shape: [axes.length] }, { axis: 0 });
  const count = graph.node("ReduceProd", [picked], { datatype: "INT64", shape: [] }, { keepdims: 0 });
  return cast(graph, count, x.datatype, ELEMENT_TYPES[x.datatype]);
}

/**
 * Sums a gradient down to the shape of the operand that was broadcast: over axes it lacks and axes where it has size 1. Where
 * sizes are not known, nodes find those axes when the graph runs.
 */
export function unbroadcast(graph: Graph, gradient: Value, to: Value): Value {
  const extra = gradient.shape.length - to.shape.length;
  const unclear = to.shape.some((size, axis) => isUnknown(size) && size !== gradient.shape[axis + extra]);
  if (unclear) return unbroadcastAtRun(graph, gradient, to, extra);
  const axes = gradient.shape.flatMap((dimension, axis) => (axis < extra || (to.shape[axis - extra] === 1 && dimension !== 1) ? [axis] : []));
  if (axes.length === 0) return gradient;
  const summed = reduceSum(graph, gradient, axes);
  return summed.shape.join() === to.shape.join() ? summed : reshapeLike(graph, summed, to);
}

function unbroadcastAtRun(graph: Graph, gradient: Value, to: Value, extra: number): Value {
  const rank = gradient.shape.length;
  const sizes = sizeList(graph, Array.from({ length: extra }, () => 1), sizesOf(graph, to));
  const ones = graph.node("Equal", [sizes, graph.constant("INT64", [], [1n])], { datatype: "BOOL", shape: [rank] });
  const found = graph.node("NonZero", [ones], { datatype: "INT64", shape: [1, "?ones"] });
  const axes = reshapeTo(graph, found, ints(graph, [-1]), ["?ones"]);
  const summed = graph.node("ReduceSum", [gradient, axes], { datatype: gradient.datatype, shape: gradient.shape.map((_, axis) => (axis < extra ? 1 : (to.shape[axis - extra] ?? 1))) }, { keepdims: 1, noop_with_empty_axes: 1 });
  return extra === 0 ? summed : reshapeTo(graph, summed, sizesOf(graph, to), to.shape);
}
