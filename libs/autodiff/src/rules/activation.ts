import { add, exp, floatAttribute, greater, mul, neg, sigmoid, softplus, sub, tanh, textAttribute, where, type Graph, type Value } from "@servable/onnx";
import { factor } from "./elementwise.ts";
import { indicator, inputOf, operands, sameAs, scalar, times, unbroadcast, type Rule } from "./rule.ts";

// g = upstream gradient, x = input, y = output. Formulas are those of ONNX's operators, differentiated by hand.

/** Activation functions. */
export const ACTIVATIONS: Readonly<Record<string, Rule>> = {
  /** g·[y > 0]: of the output, which stays alive anyway. A HardSigmoid this steep is that step in one node instead of two (1.5 against 1.9 ms for 1.6 million). */
  Relu: factor(({ graph }, _, y) => (y.datatype === "FP32" ? sameAs(graph, "HardSigmoid", [y], y, { alpha: { float: 1e38 }, beta: { float: 0 } }) : indicator(graph, greater(graph, y, scalar(graph, y, 0)), y))),
  /** g where x > 0, else α·g */
  LeakyRelu: factor(({ graph, node }, x) => where(graph, greater(graph, x, scalar(graph, x, 0)), scalar(graph, x, 1), scalar(graph, x, floatAttribute(node, "alpha", 0.01)))),
  /** g where x > 0, else g·slope; the slope gets g·x where x ≤ 0 */
  PRelu: (context) => {
    const { graph, upstream, needed } = context;
    const [x, slope] = [inputOf(context, 0), inputOf(context, 1)];
    const positive = greater(graph, x, scalar(graph, x, 0));
    return [
      where(graph, positive, upstream, mul(graph, upstream, slope)),
      needed[1] === true ? unbroadcast(graph, where(graph, positive, scalar(graph, x, 0), mul(graph, upstream, x)), slope) : undefined,
    ];
  },
  /** g where x > 0, else g·(y + α) */
  Elu: factor(({ graph, node }, x, y) => where(graph, greater(graph, x, scalar(graph, x, 0)), scalar(graph, x, 1), add(graph, y, scalar(graph, x, floatAttribute(node, "alpha", 1))))),
  /** g where x > 0, else g·(y/α + 1) */
  Celu: factor(({ graph, node }, x, y) => where(graph, greater(graph, x, scalar(graph, x, 0)), scalar(graph, x, 1), add(graph, times(graph, y, 1 / floatAttribute(node, "alpha", 1)), scalar(graph, x, 1)))),
  /** g·γ where x > 0, else g·(y + γα) */
  Selu: factor(({ graph, node }, x, y) => {
    const [alpha, gamma] = [floatAttribute(node, "alpha", 1.6732632), floatAttribute(node, "gamma", 1.050701)];
    return where(graph, greater(graph, x, scalar(graph, x, 0)), scalar(graph, x, gamma), add(graph, y, scalar(graph, x, alpha * gamma)));
  }),
  /** g·y·(1-y) */
  Sigmoid: factor(({ graph }, _, y) => mul(graph, y, sub(graph, scalar(graph, y, 1), y))),
  /** g·sigmoid(x) */
  Softplus: factor(({ graph }, x) => sigmoid(graph, x)),
  /** g/(1+|x|)² */
  Softsign: factor(({ graph }, x) => {
    const wide = add(graph, sameAs(graph, "Abs", [x], x), scalar(graph, x, 1));
    return sameAs(graph, "Reciprocal", [mul(graph, wide, wide)], x);
  }),
  /** α·g where 0 < y < 1 */
  HardSigmoid: factor(({ graph, node }, _, y) => times(graph, between(graph, y, 0, 1), floatAttribute(node, "alpha", 0.2))),
  /** g where x > α */
  ThresholdedRelu: factor(({ graph, node }, x) => indicator(graph, greater(graph, x, scalar(graph, x, floatAttribute(node, "alpha", 1))), x)),
  /** g where |x| > λ: the bias is constant */
  Shrink: factor(({ graph, node }, x) => indicator(graph, greater(graph, sameAs(graph, "Abs", [x], x), scalar(graph, x, floatAttribute(node, "lambd", 0.5))), x)),
  /** 0 up to -3, g from 3 on, g·(x/3 + ½) between */
  HardSwish: factor(({ graph }, x) => {
    const inner = add(graph, times(graph, x, 1 / 3), scalar(graph, x, 0.5));
    const one = scalar(graph, x, 1);
    return where(graph, greater(graph, scalar(graph, x, 3), x), mul(graph, indicator(graph, greater(graph, x, scalar(graph, x, -3)), x), inner), one);
  }),
  /** with t = tanh(softplus(x)): g·(t + x·sigmoid(x)·(1-t²)) */
  Mish: factor(({ graph }, x) => {
    const t = tanh(graph, softplus(graph, x));
    return add(graph, t, mul(graph, mul(graph, x, sigmoid(graph, x)), sub(graph, scalar(graph, x, 1), mul(graph, t, t))));
  }),
  /** x·sigmoid(αx), s = sigmoid(αx): g·(s + α·y·(1-s)) */
  Swish: factor(({ graph, node }, x, y) => swish(graph, x, y, floatAttribute(node, "alpha", 1))),
  "com.microsoft::QuickGelu": factor(({ graph, node }, x, y) => swish(graph, x, y, floatAttribute(node, "alpha", 1.702))),
  /** by the error function or its approximation by tanh, as the node says */
  Gelu: factor(({ graph, node }, x) => (textAttribute(node, "approximate", "none") === "tanh" ? geluTanh(graph, x) : gelu(graph, x))),
  "com.microsoft::Gelu": factor(({ graph }, x) => gelu(graph, x)),
  /** Gelu by tanh of x + bias */
  "com.microsoft::FastGelu": (context) => biased(context, geluTanh),
  /** Gelu by the error function of x + bias */
  "com.microsoft::BiasGelu": (context) => biased(context, gelu),
};

function biased(context: Parameters<Rule>[0], derivative: (graph: Graph, x: Value) => Value): (Value | undefined)[] {
  const { graph, node, upstream, needed } = context;
  const { a } = operands(context);
  const bias = node.inputs[1];
  const gradient = mul(graph, upstream, derivative(graph, bias === undefined ? a : add(graph, a, bias)));
  return [gradient, bias !== undefined && needed[1] === true ? unbroadcast(graph, gradient, bias) : undefined];
}

/** Φ + x·φ, Φ = ½(1 + erf(x/√2)), φ = exp(-x²/2)/√(2π) */
function gelu(graph: Graph, x: Value): Value {
  const erf = sameAs(graph, "Erf", [times(graph, x, Math.SQRT1_2)], x);
  const cumulative = times(graph, add(graph, erf, scalar(graph, x, 1)), 0.5);
  const density = times(graph, exp(graph, neg(graph, times(graph, mul(graph, x, x), 0.5))), 1 / Math.sqrt(2 * Math.PI));
  return add(graph, cumulative, mul(graph, x, density));
}

/** k = √(2/π), c = 0.044715, t = tanh(k·x·(1+c·x²)): ½(1+t) + ½·x·(1-t²)·k·(1+3c·x²). Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016). */
function geluTanh(graph: Graph, x: Value): Value {
  const [k, c] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = mul(graph, x, x);
  const one = scalar(graph, x, 1);
  const t = tanh(graph, mul(graph, times(graph, x, k), add(graph, one, times(graph, square, c))));
  const inner = times(graph, add(graph, one, times(graph, square, 3 * c)), k / 2);
  return add(graph, times(graph, add(graph, one, t), 0.5), mul(graph, mul(graph, x, sub(graph, one, mul(graph, t, t))), inner));
}

function swish(graph: Graph, x: Value, y: Value, alpha: number): Value {
  const s = sigmoid(graph, times(graph, x, alpha));
  return add(graph, s, times(graph, mul(graph, y, sub(graph, scalar(graph, x, 1), s)), alpha));
}

/** 1 where low < x < high. */
function between(graph: Graph, x: Value, low: number, high: number): Value {
  return mul(graph, indicator(graph, greater(graph, x, scalar(graph, x, low)), x), indicator(graph, greater(graph, scalar(graph, x, high), x), x));
}
