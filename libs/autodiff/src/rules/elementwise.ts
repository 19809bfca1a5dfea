import { ELEMENT_TYPES, GraphError, add, cast, div, equal, exp, greater, log, mul, neg, sub, where, type Value } from "@servable/onnx";
import { indicator, inputOf, operands, sameAs, scalar, times, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

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
  /** g·n·x^(n-1); g·y·log(x) where x > 0, else 0. The exponent may have another datatype. */
  Pow: binary(
    ({ graph, upstream }, x, n) => {
      const exponent = n.datatype === x.datatype ? n : cast(graph, n, x.datatype, ELEMENT_TYPES[x.datatype]);
      const power = graph.node("Pow", [x, sub(graph, exponent, scalar(graph, x, 1))], { datatype: x.datatype, shape: upstream.shape });
      return mul(graph, upstream, mul(graph, exponent, power));
    },
    ({ graph, upstream }, x, _, y) => {
      const positive = greater(graph, x, scalar(graph, x, 0));
      const safe = where(graph, positive, x, scalar(graph, x, 1));
      return mul(graph, upstream, where(graph, positive, mul(graph, y, log(graph, safe)), scalar(graph, x, 0)));
    },
  ),
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
  /** g, as at inference: nothing is dropped. */
  Dropout: ({ node, upstream }) => {
    if (node.inputs[2] !== undefined) throw new GraphError("only the inference form, without training_mode, has a gradient");
    return [upstream];
  },
  /** g in the input's datatype. */
  Cast: (context) => {
    const { a } = operands(context);
    return [cast(context.graph, context.upstream, a.datatype, ELEMENT_TYPES[a.datatype])];
  },
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

