import { cast, div, equal, greater, log, mul, op, sub, where, type Value } from "@servable/onnx";
import { inputOf, numbersOf, operands, scalar, times, unbroadcast, type RuleContext } from "./rule.ts";

/**
 * ai.onnx::Pow: dx = g·n·x^(n-1), 0 where n = 0; dn = g·y·log(x) where x > 0, else 0. The exponent may have another datatype.
 * The exponents of every day get products instead: Pow is fifty times slower than Mul.
 */
export function power(context: RuleContext): (Value | undefined)[] {
  const { graph, needed } = context;
  const { a: x } = operands(context);
  const n = inputOf(context, 1);
  return [needed[0] === true ? unbroadcast(graph, baseGradient(context, x, n), x) : undefined, needed[1] === true ? unbroadcast(graph, exponentGradient(context, x), n) : undefined];
}

function baseGradient(context: RuleContext, x: Value, n: Value): Value {
  const { graph, upstream } = context;
  const { y } = operands(context);
  const known = numbersOf(graph, n);
  const [exponent] = known?.length === 1 && n.shape.length <= x.shape.length ? known : [];
  if (exponent === 1) return upstream;
  if (exponent === 2) return times(graph, mul(graph, upstream, x), 2);
  if (exponent === 3) return times(graph, mul(graph, upstream, mul(graph, x, x)), 3);
  if (exponent === 0.5) return div(graph, times(graph, upstream, 0.5), y);
  const real = n.datatype === x.datatype ? n : cast(graph, n, x.datatype);
  const zero = scalar(graph, x, 0);
  // 0·0^-1 is not a number, where the derivative of x⁰ is 0.
  const less = where(graph, equal(graph, real, zero), scalar(graph, x, 1), sub(graph, real, scalar(graph, x, 1)));
  return mul(graph, upstream, mul(graph, real, op(graph, "Pow", [x, less])));
}

function exponentGradient(context: RuleContext, x: Value): Value {
  const { graph, upstream } = context;
  const { y } = operands(context);
  const positive = greater(graph, x, scalar(graph, x, 0));
  const safe = where(graph, positive, x, scalar(graph, x, 1));
  return mul(graph, upstream, where(graph, positive, mul(graph, y, log(graph, safe)), scalar(graph, x, 0)));
}
