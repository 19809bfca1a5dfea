import { GraphError, add, div, floatAttribute, intAttribute, mul, neg, sub, where, equal, type Dimension, type Graph, type Value } from "@servable/onnx";
import { inputOf, meanOver, operands, reshapeTo, sameAs, scalar, sizeList, sizesOf, sumOver, times, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

// x̂ = the normalised input, inv = 1/√(variance + ε), gw = g·scale. Source of the common form: Ioffe & Szegedy, Batch
// Normalization (2015), section 3, with the statistics' own gradients put in.

/** Normalisations. */
export const NORMALIZATIONS: Readonly<Record<string, Rule>> = {
  /** dx = (gw - mean(gw) - x̂·mean(gw·x̂))·inv; dscale = Σ g·x̂; dbias = Σ g */
  LayerNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, scale, bias] = [inputOf(context, 0), inputOf(context, 1), node.inputs[2]];
    const axis = intAttribute(node, "axis", -1);
    const from = axis < 0 ? axis + x.shape.length : axis;
    const axes = x.shape.flatMap((_, index) => (index >= from ? [index] : []));
    const { inv, normalised } = standardise(graph, x, axes, floatAttribute(node, "epsilon", 1e-5));
    return [
      needed[0] === true ? standardisedGradient(graph, mul(graph, upstream, scale), normalised, inv, axes) : undefined,
      needed[1] === true ? unbroadcast(graph, mul(graph, upstream, normalised), scale) : undefined,
      bias !== undefined && needed[2] === true ? unbroadcast(graph, upstream, bias) : undefined,
    ];
  },
  /** dx = (gw - x̂·mean(gw·x̂))·inv; dscale = Σ g·x̂ */
  RMSNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
    const axis = intAttribute(node, "axis", -1);
    const from = axis < 0 ? axis + x.shape.length : axis;
    const axes = x.shape.flatMap((_, index) => (index >= from ? [index] : []));
    const inv = inverseRoot(graph, meanOver(graph, mul(graph, x, x), axes), floatAttribute(node, "epsilon", 1e-5));
    const normalised = mul(graph, x, inv);
    const gw = mul(graph, upstream, scale);
    return [mul(graph, sub(graph, gw, mul(graph, normalised, meanOver(graph, mul(graph, gw, normalised), axes))), inv), needed[1] === true ? unbroadcast(graph, mul(graph, upstream, normalised), scale) : undefined];
  },
  /** LayerNormalization's form over space, each channel of each element alone */
  InstanceNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
    const axes = x.shape.slice(2).map((_, index) => index + 2);
    const { inv, normalised } = standardise(graph, x, axes, floatAttribute(node, "epsilon", 1e-5));
    const gw = mul(graph, upstream, channelwise(graph, scale, x));
    return [needed[0] === true ? standardisedGradient(graph, gw, normalised, inv, axes) : undefined, ...channelSums(context, normalised)];
  },
  /** LayerNormalization's form over the channels of a group and space */
  GroupNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
    const groups = intAttribute(node, "num_groups", 1);
    const split = (value: Value): Value => reshapeTo(graph, value, sizeList(graph, sizesOf(graph, x, 0, 1), [groups, -1]), [x.shape[0] ?? 1, groups, "?grouped"]);
    const joined = (value: Value): Value => reshapeTo(graph, value, sizesOf(graph, x), x.shape);
    const { inv, normalised } = standardise(graph, split(x), [2], floatAttribute(node, "epsilon", 1e-5));
    const gw = split(mul(graph, upstream, channelwise(graph, scale, x)));
    return [needed[0] === true ? joined(standardisedGradient(graph, gw, normalised, inv, [2])) : undefined, ...channelSums(context, joined(normalised))];
  },
  /** As at inference, with constant statistics: dx = gw·inv; dscale = Σ g·x̂; dbias = Σ g; dmean = -Σ gw·inv; dvar = -½ Σ gw·x̂·inv² */
  BatchNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    if (intAttribute(node, "training_mode", 0) === 1) throw new GraphError("only the inference form has a gradient");
    const [x, scale, mean, variance] = [inputOf(context, 0), inputOf(context, 1), inputOf(context, 3), inputOf(context, 4)];
    const inv = channelwise(graph, inverseRoot(graph, variance, floatAttribute(node, "epsilon", 1e-5)), x);
    const dx = mul(graph, mul(graph, upstream, channelwise(graph, scale, x)), inv);
    const normalised = (): Value => mul(graph, sub(graph, x, channelwise(graph, mean, x)), inv);
    return [
      dx,
      ...(needed[1] === true || needed[2] === true ? channelSums(context, normalised()) : [undefined, undefined]),
      needed[3] === true ? neg(graph, channelSum(graph, dx)) : undefined,
      needed[4] === true ? times(graph, channelSum(graph, mul(graph, mul(graph, dx, normalised()), inv)), -0.5) : undefined,
    ];
  },
  /** p = 2: (g - y·Σ(g·y))/‖x‖; p = 1: (g - sign(x)·Σ(g·y))/‖x‖; rows of zeros get zeros */
  LpNormalization: (context) => {
    const { graph, node, upstream } = context;
    const { a: x, y } = operands(context);
    const axis = intAttribute(node, "axis", -1);
    const axes = [axis < 0 ? axis + x.shape.length : axis];
    const two = intAttribute(node, "p", 2) === 2;
    const norm = two ? sameAs(graph, "Sqrt", [sumOver(graph, mul(graph, x, x), axes)], sumOver(graph, x, axes)) : sumOver(graph, sameAs(graph, "Abs", [x], x), axes);
    const inner = sumOver(graph, mul(graph, upstream, y), axes);
    const direction = two ? y : sameAs(graph, "Sign", [x], x);
    const zero = scalar(graph, x, 0);
    const empty = equal(graph, norm, zero);
    return [where(graph, empty, zero, div(graph, sub(graph, upstream, mul(graph, direction, inner)), where(graph, empty, scalar(graph, x, 1), norm)))];
  },
};

/** 1/√(x + ε) */
function inverseRoot(graph: Graph, x: Value, epsilon: number): Value {
  return sameAs(graph, "Reciprocal", [sameAs(graph, "Sqrt", [add(graph, x, scalar(graph, x, epsilon))], x)], x);
}

function standardise(graph: Graph, x: Value, axes: readonly number[], epsilon: number): { inv: Value; normalised: Value } {
  const centred = sub(graph, x, meanOver(graph, x, axes));
  const inv = inverseRoot(graph, meanOver(graph, mul(graph, centred, centred), axes), epsilon);
  return { inv, normalised: mul(graph, centred, inv) };
}

function standardisedGradient(graph: Graph, gw: Value, normalised: Value, inv: Value, axes: readonly number[]): Value {
  const along = mul(graph, normalised, meanOver(graph, mul(graph, gw, normalised), axes));
  return mul(graph, sub(graph, sub(graph, gw, meanOver(graph, gw, axes)), along), inv);
}

/** [C] as [C, 1, …], which broadcasts over [N, C, …]. */
function channelwise(graph: Graph, value: Value, x: Value): Value {
  const shape: Dimension[] = [value.shape[0] ?? 1, ...x.shape.slice(2).map(() => 1)];
  return shape.length === 1 ? value : reshapeTo(graph, value, sizeList(graph, [-1, ...x.shape.slice(2).map(() => 1)]), shape);
}

const channelSum = (graph: Graph, value: Value): Value => {
  const axes = value.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const summed = sumOver(graph, value, axes);
  return reshapeTo(graph, summed, sizeList(graph, [-1]), [value.shape[1] ?? 1]);
};

/** The gradients of a scale and a bias for each channel. */
function channelSums({ graph, upstream, needed }: RuleContext, normalised: Value): (Value | undefined)[] {
  return [needed[1] === true ? channelSum(graph, mul(graph, upstream, normalised)) : undefined, needed[2] === true ? channelSum(graph, upstream) : undefined];
}
