import { cast, div, equal, exp, intAttribute, mul, op, where, type Value } from "@servable/onnx";
import { countOver, indicator, ints, numbersOf, operands, reshapeTo, sameAs, scalar, sizesOf, spreadLike, sumOver, times, type Rule, type RuleContext } from "./rule.ts";

// g = upstream gradient, x = input, y = output; both with their reduced axes back as size 1.

interface Reduced {
  readonly x: Value;
  readonly y: Value;
  readonly g: Value;
  /** The axes as far as known: all when the node names none. */
  readonly axes: Value | undefined;
}

/** A rule of a reduction: dx, which may still be as small as y. */
const reduction = (of: (context: RuleContext, reduced: Reduced) => Value): Rule => (context) => {
  const { graph, node, upstream } = context;
  const { a: x, y } = operands(context);
  const axes = node.inputs[1]?.shape[0] === 0 ? undefined : node.inputs[1];
  if (axes === undefined && intAttribute(node, "noop_with_empty_axes", 0) === 1) return [of(context, { x, y, g: upstream, axes })];
  const kept = (value: Value): Value => {
    // One number broadcasts as it is.
    if (intAttribute(node, "keepdims", 1) === 1 || value.shape.length === 0) return value;
    const shape = x.shape.map(() => 1);
    if (axes === undefined) return reshapeTo(graph, value, ints(graph, shape), shape);
    // Where the axes are not known, neither is which sizes are 1; sizes said to be unknown broadcast all the same.
    const known = numbersOf(graph, axes)?.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
    const sizes = x.shape.map((size, axis) => (known === undefined ? `?kept${axis}` : known.includes(axis) ? 1 : size));
    return graph.node("Unsqueeze", [value, axes], { datatype: value.datatype, shape: sizes });
  };
  const reduced: Reduced = {
    x,
    get y() {
      return kept(y);
    },
    g: kept(upstream),
    axes,
  };
  return [spreadLike(graph, of(context, reduced), x)];
};

const extremum = reduction(({ graph, node }, { x, y, g, axes }) => {
  const chosen = indicator(graph, equal(graph, x, y), x);
  const ties = op(graph, "ReduceSum", [chosen, axes], { keepdims: 1, noop_with_empty_axes: intAttribute(node, "noop_with_empty_axes", 0) });
  return mul(graph, chosen, div(graph, g, ties));
});

/** Reductions. */
export const REDUCTIONS: Readonly<Record<string, Rule>> = {
  /** g spread over the axes that were summed */
  ReduceSum: reduction((_, { g }) => g),
  /** g/n spread over the axes that were averaged */
  ReduceMean: reduction(({ graph }, { x, g, axes }) => {
    if (axes === undefined) return div(graph, g, countOver(graph, x, x.shape.map((_, axis) => axis)));
    const picked = graph.node("Gather", [sizesOf(graph, x), axes], { datatype: "INT64", shape: axes.shape }, { axis: 0 });
    const count = graph.node("ReduceProd", [picked], { datatype: "INT64", shape: [] }, { keepdims: 0 });
    return div(graph, g, cast(graph, count, x.datatype));
  }),
  /** g where x is the extremum; ties share */
  ReduceMax: extremum,
  ReduceMin: extremum,
  /** g times the product of the others: y/x where nothing is 0; the product of the rest for the only 0; 0 beside a 0 */
  ReduceProd: reduction(({ graph, node }, { x, g, axes }) => {
    const [zero, one] = [scalar(graph, x, 0), scalar(graph, x, 1)];
    const empty = equal(graph, x, zero);
    const kept = { keepdims: 1, noop_with_empty_axes: intAttribute(node, "noop_with_empty_axes", 0) };
    const safe = where(graph, empty, one, x);
    const rest = op(graph, "ReduceProd", [safe, axes], kept);
    const zeros = op(graph, "ReduceSum", [indicator(graph, empty, x), axes], kept);
    const others = where(graph, empty, indicator(graph, equal(graph, zeros, one), x), div(graph, indicator(graph, equal(graph, zeros, zero), x), safe));
    return mul(graph, g, mul(graph, rest, others));
  }),
  /** g·sign(x) */
  ReduceL1: reduction(({ graph }, { x, g }) => mul(graph, g, sameAs(graph, "Sign", [x], x))),
  /** x·g/y; rows of zeros get zeros */
  ReduceL2: reduction(({ graph }, { x, y, g }) => {
    const zero = scalar(graph, y, 0);
    const empty = equal(graph, y, zero);
    return mul(graph, x, where(graph, empty, zero, div(graph, g, where(graph, empty, scalar(graph, y, 1), y))));
  }),
  /** 2·g·x */
  ReduceSumSquare: reduction(({ graph }, { x, g }) => times(graph, mul(graph, g, x), 2)),
  /** g/Σx = g·exp(-y) */
  ReduceLogSum: reduction(({ graph }, { y, g }) => div(graph, g, exp(graph, y))),
  /** g·exp(x-y) */
  ReduceLogSumExp: reduction(({ graph }, { x, y, g }) => mul(graph, g, exp(graph, graph.node("Sub", [x, y], { datatype: x.datatype, shape: x.shape })))),
  /** the sum from the other end */
  CumSum: ({ graph, node, upstream }) => [sameAs(graph, "CumSum", [upstream, node.inputs[1]], upstream, { exclusive: intAttribute(node, "exclusive", 0), reverse: 1 - intAttribute(node, "reverse", 0) })],
  /** y·(g - Σ(g·y)) over the axis */
  Softmax: (context) => {
    const { graph, node, upstream } = context;
    const { y } = operands(context);
    const inner = sumOver(graph, mul(graph, upstream, y), [axisOf(node, y)]);
    return [mul(graph, y, graph.node("Sub", [upstream, inner], { datatype: y.datatype, shape: y.shape }))];
  },
  /** g - exp(y)·Σg over the axis */
  LogSoftmax: (context) => {
    const { graph, node, upstream } = context;
    const { y } = operands(context);
    return [graph.node("Sub", [upstream, mul(graph, exp(graph, y), sumOver(graph, upstream, [axisOf(node, y)]))], { datatype: y.datatype, shape: y.shape })];
  },
};

function axisOf(node: RuleContext["node"], y: Value): number {
  const axis = intAttribute(node, "axis", -1);
  return axis < 0 ? axis + y.shape.length : axis;
}
