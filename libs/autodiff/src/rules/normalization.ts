import { add, div, floatAttribute, intAttribute, mul, sub, where, equal, type Graph, type Value } from "@servable/onnx";
import { batchNormalization } from "./batch-normalization.ts";
import { channelSums, channelwise, inverseRoot } from "./channels.ts";
import { inputOf, meanOver, operands, reshapeTo, sameAs, scalar, sizeList, sizesOf, sumOver, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

// x̂ = the normalised input, inv = 1/√(variance + ε), gw = g·scale. Source of the common form: Ioffe & Szegedy, Batch
// Normalization (2015), section 3, with the statistics' own gradients put in.

/** The default of the com.microsoft operators, other than that of ONNX. */
const SKIP_EPSILON = 1e-12;

/** Normalisations. */
export const NORMALIZATIONS: Readonly<Record<string, Rule>> = {
  /** dx = (gw - mean(gw) - x̂·mean(gw·x̂))·inv; dscale = Σ g·x̂; dbias = Σ g. The node gives mean and inv itself. */
  LayerNormalization: (context) => {
    const { graph, node, upstream, needed } = context;
    const [x, scale, bias] = [inputOf(context, 0), inputOf(context, 1), node.inputs[2]];
    const axes = axesFrom(node, x);
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const given = (): { inv: Value; normalised: Value } => {
      const [mean, inv] = [1, 2].map((index) => graph.optionalOutput(node, index, { datatype: "FP32", shape: kept })) as [Value, Value];
      return { inv, normalised: mul(graph, sub(graph, x, mean), inv) };
    };
    const { inv, normalised } = x.datatype === "FP32" ? given() : standardise(graph, x, axes, floatAttribute(node, "epsilon", 1e-5));
    return [
      needed[0] === true ? standardisedGradient(graph, mul(graph, upstream, scale), normalised, inv, axes) : undefined,
      needed[1] === true ? unbroadcast(graph, mul(graph, upstream, normalised), scale) : undefined,
      bias !== undefined && needed[2] === true ? unbroadcast(graph, upstream, bias) : undefined,
    ];
  },
  RMSNormalization: rootMeanSquare,
  /** RMSNormalization by its name from before opset 23. */
  SimplifiedLayerNormalization: rootMeanSquare,
  /** LayerNormalization of s = x + skip + bias; output 3 is s itself */
  "com.microsoft::SkipLayerNormalization": (context) => {
    const { graph, node, upstreams, needed } = context;
    const [scale, shift] = [inputOf(context, 2), node.inputs[3]];
    const total = skipSum(context, node.inputs[4]);
    const [g, through] = [upstreams[0], upstreams[3]];
    if (g === undefined) return skipGradients(context, through, 4);
    const axes = [total.shape.length - 1];
    const { inv, normalised } = standardise(graph, total, axes, floatAttribute(node, "epsilon", SKIP_EPSILON));
    const ds = standardisedGradient(graph, mul(graph, g, scale), normalised, inv, axes);
    const gradients = skipGradients(context, through === undefined ? ds : add(graph, ds, through), 4);
    gradients[2] = needed[2] === true ? unbroadcast(graph, mul(graph, g, normalised), scale) : undefined;
    gradients[3] = shift !== undefined && needed[3] === true ? unbroadcast(graph, g, shift) : undefined;
    return gradients;
  },
  /** RMSNormalization of s = x + skip + bias; output 3 is s itself */
  "com.microsoft::SkipSimplifiedLayerNormalization": (context) => {
    const { graph, node, upstreams, needed } = context;
    const scale = inputOf(context, 2);
    const total = skipSum(context, node.inputs[3]);
    const [g, through] = [upstreams[0], upstreams[3]];
    if (g === undefined) return skipGradients(context, through, 3);
    const { inv, normalised } = byRootMeanSquare(graph, total, [total.shape.length - 1], floatAttribute(node, "epsilon", SKIP_EPSILON));
    const ds = rootMeanSquareGradient(graph, mul(graph, g, scale), normalised, inv, [total.shape.length - 1]);
    const gradients = skipGradients(context, through === undefined ? ds : add(graph, ds, through), 3);
    gradients[2] = needed[2] === true ? unbroadcast(graph, mul(graph, g, normalised), scale) : undefined;
    return gradients;
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
  BatchNormalization: batchNormalization,
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

/** dx = (gw - x̂·mean(gw·x̂))·inv; dscale = Σ g·x̂. Source: Zhang & Sennrich, Root Mean Square Layer Normalization (2019), section 4. */
function rootMeanSquare(context: RuleContext): (Value | undefined)[] {
  const { graph, node, upstream, needed } = context;
  const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
  const axes = axesFrom(node, x);
  const { inv, normalised } = byRootMeanSquare(graph, x, axes, floatAttribute(node, "epsilon", 1e-5));
  return [
    needed[0] === true ? rootMeanSquareGradient(graph, mul(graph, upstream, scale), normalised, inv, axes) : undefined,
    needed[1] === true ? unbroadcast(graph, mul(graph, upstream, normalised), scale) : undefined,
  ];
}

function byRootMeanSquare(graph: Graph, x: Value, axes: readonly number[], epsilon: number): { inv: Value; normalised: Value } {
  const inv = inverseRoot(graph, meanOver(graph, mul(graph, x, x), axes), epsilon);
  return { inv, normalised: mul(graph, x, inv) };
}

function rootMeanSquareGradient(graph: Graph, gw: Value, normalised: Value, inv: Value, axes: readonly number[]): Value {
  return mul(graph, sub(graph, gw, mul(graph, normalised, meanOver(graph, mul(graph, gw, normalised), axes))), inv);
}

/** The axes that a node normalises over: from `axis` on. */
function axesFrom(node: RuleContext["node"], x: Value): number[] {
  const axis = intAttribute(node, "axis", -1);
  const from = axis < 0 ? axis + x.shape.length : axis;
  return x.shape.flatMap((_, index) => (index >= from ? [index] : []));
}

function skipSum(context: RuleContext, bias: Value | undefined): Value {
  const total = add(context.graph, inputOf(context, 0), inputOf(context, 1));
  return bias === undefined ? total : add(context.graph, total, bias);
}

/** What the sum's gradient is for x, skip and bias. */
function skipGradients({ graph, node, needed }: RuleContext, ds: Value | undefined, bias: number): (Value | undefined)[] {
  return node.inputs.map((input, index) => (input !== undefined && ds !== undefined && needed[index] === true && (index < 2 || index === bias) ? unbroadcast(graph, ds, input) : undefined));
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
