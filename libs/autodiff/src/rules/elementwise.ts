import { ELEMENT_TYPES, GraphError, add, cast, div, equal, exp, greater, mul, neg, sub, where, type Value } from "@servable/onnx";
import { power } from "./power.ts";
import { indicator, inputOf, numbersOf, operands, sameAs, scalar, times, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

// g = upstream gradient, x = input, y = output.

/** A rule of one operand: what g is multiplied with. */
export const factor = (of: (context: RuleContext, x: Value, y: Value) => Value): Rule => (context) => {
  const { a, y } = operands(context);
  return [mul(context.graph, context.upstream, of(context, a, y))];
};

/** A rule of two operands that broadcast: the gradient of each before it is summed down. */
const binary = (da: (context: RuleContext, a: Value, b: Value, y: Value) => Value, db: (context: RuleContext, a: Value, b: Value, y: Value) => Value): Rule => (context) => {
  const { a, y } = operands(context);
  const b = inputOf(context, 1);
  return [da, db].map((rule, index) => (context.needed[index] === true ? unbroadcast(context.graph, rule(context, a, b, y), index === 0 ? a : b) : undefined));
};

/** Constant between jumps: zeros, and the walk stops. */
const flat: Rule = () => [];

/** Elementwise operators. */
export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  /** g; g */
  Add: binary(({ upstream }) => upstream, ({ upstream }) => upstream),
  /** g; -g */
  Sub: binary(({ upstream }) => upstream, ({ graph, upstream }) => neg(graph, upstream)),
  /** g·b; g·a */
  Mul: binary(({ graph, upstream }, _, b) => mul(graph, upstream, b), ({ graph, upstream }, a) => mul(graph, upstream, a)),
  /** g/b; -g·y/b */
  Div: binary(({ graph, upstream }, _, b) => div(graph, upstream, b), ({ graph, upstream }, _, b, y) => neg(graph, div(graph, mul(graph, upstream, y), b))),
  Pow: power,
  /** Each gets g where it is the largest (smallest); ties share. */
  Max: extremum,
  Min: extremum,
  /** g to each. */
  Sum: (context) => context.node.inputs.map((input, index) => (input !== undefined && context.needed[index] === true ? unbroadcast(context.graph, context.upstream, input) : undefined)),
  /** g/n to each of n. */
  Mean: (context) => {
    const share = times(context.graph, context.upstream, 1 / context.node.inputs.length);
    return context.node.inputs.map((input, index) => (input !== undefined && context.needed[index] === true ? unbroadcast(context.graph, share, input) : undefined));
  },
  /** g where the condition holds; g where it does not. */
  Where: (context) => {
    const { graph, upstream, needed } = context;
    const [condition, x, z] = [inputOf(context, 0), inputOf(context, 1), inputOf(context, 2)];
    const zero = scalar(graph, x, 0);
    return [undefined, needed[1] === true ? unbroadcast(graph, where(graph, condition, upstream, zero), x) : undefined, needed[2] === true ? unbroadcast(graph, where(graph, condition, zero, upstream), z) : undefined];
  },
  /** g·[lo < x < hi]: nothing at the bounds. */
  Clip: (context) => {
    const { graph, node, upstream } = context;
    const { a: x } = operands(context);
    const [low, high] = [node.inputs[1], node.inputs[2]];
    const above = low === undefined ? upstream : mul(graph, upstream, indicator(graph, greater(graph, x, low), x));
    return [high === undefined ? above : mul(graph, above, indicator(graph, greater(graph, high, x), x))];
  },
  /** -g */
  Neg: ({ graph, upstream }) => [neg(graph, upstream)],
  /** g */
  Identity: ({ upstream }) => [upstream],
  /** g·mask/(1 - ratio), with the mask that the node gives; g at inference. */
  Dropout: (context) => {
    const { graph, node, upstream } = context;
    const { a: x } = operands(context);
    const training = node.inputs[2];
    if (training === undefined) return [upstream];
    const mode = numbersOf(graph, training)?.[0];
    if (mode === undefined) throw new GraphError("a training_mode that is computed has no gradient: make it a constant");
    if (mode === 0) return [upstream];
    const mask = indicator(graph, graph.optionalOutput(node, 1, { datatype: "BOOL", shape: x.shape }), x);
    const ratio = node.inputs[1];
    const kept = oneMinus(graph, ratio === undefined ? scalar(graph, x, 0.5) : ratio.datatype === x.datatype ? ratio : cast(graph, ratio, x.datatype));
    return [div(graph, mul(graph, upstream, mask), kept)];
  },
  /** g in the input's datatype. */
  Cast: (context) => {
    const { a } = operands(context);
    return [cast(context.graph, context.upstream, a.datatype, ELEMENT_TYPES[a.datatype])];
  },
  /** The same. */
  CastLike: (context) => [cast(context.graph, context.upstream, operands(context).a.datatype)],
  /** g·y */
  Exp: factor((_, __, y) => y),
  /** g/x */
  Log: (context) => [div(context.graph, context.upstream, operands(context).a)],
  /** g/(2y) */
  Sqrt: (context) => [div(context.graph, context.upstream, times(context.graph, operands(context).y, 2))],
  /** -g·y² */
  Reciprocal: factor(({ graph }, _, y) => neg(graph, mul(graph, y, y))),
  /** g·sign(x) */
  Abs: factor(({ graph }, x) => sameAs(graph, "Sign", [x], x)),
  /** g·2/√π·exp(-x²) */
  Erf: factor(({ graph }, x) => times(graph, exp(graph, neg(graph, mul(graph, x, x))), 2 / Math.sqrt(Math.PI))),
  /** g·cos(x) */
  Sin: factor(({ graph }, x) => sameAs(graph, "Cos", [x], x)),
  /** -g·sin(x) */
  Cos: factor(({ graph }, x) => neg(graph, sameAs(graph, "Sin", [x], x))),
  /** g·(1 + y²) */
  Tan: factor(({ graph }, _, y) => onePlus(graph, mul(graph, y, y))),
  /** g/√(1-x²) */
  Asin: factor(({ graph }, x) => root(graph, oneMinus(graph, mul(graph, x, x)))),
  /** -g/√(1-x²) */
  Acos: factor(({ graph }, x) => neg(graph, root(graph, oneMinus(graph, mul(graph, x, x))))),
  /** g/(1+x²) */
  Atan: factor(({ graph }, x) => sameAs(graph, "Reciprocal", [onePlus(graph, mul(graph, x, x))], x)),
  /** g·cosh(x) */
  Sinh: factor(({ graph }, x) => sameAs(graph, "Cosh", [x], x)),
  /** g·sinh(x) */
  Cosh: factor(({ graph }, x) => sameAs(graph, "Sinh", [x], x)),
  /** g·(1-y²) */
  Tanh: factor(({ graph }, _, y) => oneMinus(graph, mul(graph, y, y))),
  /** g/√(x²+1) */
  Asinh: factor(({ graph }, x) => root(graph, onePlus(graph, mul(graph, x, x)))),
  /** g/√(x²-1) */
  Acosh: factor(({ graph }, x) => root(graph, sub(graph, mul(graph, x, x), scalar(graph, x, 1)))),
  /** g/(1-x²) */
  Atanh: factor(({ graph }, x) => sameAs(graph, "Reciprocal", [oneMinus(graph, mul(graph, x, x))], x)),
  Floor: flat,
  Ceil: flat,
  Round: flat,
  Sign: flat,
  Hardmax: flat,
};

function extremum(context: RuleContext): (Value | undefined)[] {
  const { graph, node, upstream, needed } = context;
  const { y } = operands(context);
  const chosen = node.inputs.map((input) => input && indicator(graph, equal(graph, input, y), y));
  const count = chosen.reduce<Value | undefined>((sum, each) => (each === undefined ? sum : sum === undefined ? each : add(graph, sum, each)), undefined) ?? y;
  const share = div(graph, upstream, count);
  return node.inputs.map((input, index) => {
    const mask = chosen[index];
    return input !== undefined && mask !== undefined && needed[index] === true ? unbroadcast(graph, mul(graph, share, mask), input) : undefined;
  });
}

const onePlus = (graph: RuleContext["graph"], x: Value): Value => add(graph, x, scalar(graph, x, 1));
const oneMinus = (graph: RuleContext["graph"], x: Value): Value => sub(graph, scalar(graph, x, 1), x);
/** 1/√x */
const root = (graph: RuleContext["graph"], x: Value): Value => sameAs(graph, "Reciprocal", [sameAs(graph, "Sqrt", [x], x)], x);

