import { GraphError, intAttribute, intsAttribute, textAttribute, type Dimension, type Value } from "@servable/onnx";
import { places } from "./indexing.ts";
import { scatterFlat } from "./scatter-flat.ts";
import { inputOf, ints, numbersOf, operands, reshapeLike, reshapeTo, sameAs, scalar, sizeList, sizesOf, unbroadcast, zerosLike, type Rule, type RuleContext } from "./rule.ts";

/** g in the shape of the input. */
const reshaped: Rule = (context) => [reshapeLike(context.graph, context.upstream, operands(context).a)];

/** What moves elements moves their places too; g goes back to them. The rule for every pattern that has no shorter one. */
const movedBack = (context: RuleContext, inputs: readonly (Value | undefined)[]): Value => {
  const { graph, node, upstream } = context;
  const { a, y } = operands(context);
  const moved = graph.node(node.opType, [places(graph, a), ...inputs], { datatype: "INT64", shape: y.shape }, node.attributes);
  return scatterFlat(graph, upstream, moved, a);
};

/** Changes of shape and order. */
export const SHAPE: Readonly<Record<string, Rule>> = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  /** The inverse permutation. */
  Transpose: (context) => {
    const { graph, node, upstream } = context;
    const { a } = operands(context);
    const perm = intsAttribute(node, "perm") ?? a.shape.map((_, axis) => a.shape.length - 1 - axis);
    return [sameAs(graph, "Transpose", [upstream], a, { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
  /** g split by the parts' sizes */
  Concat: (context) => {
    const { graph, node, upstream } = context;
    const stated = intAttribute(node, "axis", 0);
    const axis = stated < 0 ? stated + upstream.shape.length : stated;
    const parts = node.inputs.map((_, index) => inputOf(context, index));
    const sizes = sizeList(graph, ...parts.map((part) => sizesOf(graph, part, axis, axis + 1)));
    return graph.nodeOf("Split", [upstream, sizes], parts.map(({ datatype, shape }) => ({ datatype, shape })), { axis });
  },
  /** The parts' gradients joined; zeros for a part that nothing depends on. */
  Split: (context) => {
    const { graph, node, upstreams } = context;
    const { a } = operands(context);
    const parts = node.outputs.map((output, index) => upstreams[index] ?? (output && zerosLike(graph, output)));
    return [sameAs(graph, "Concat", parts, a, { axis: intAttribute(node, "axis", 0) })];
  },
  /** g back to its places: by a Pad where the slice is one piece and its bounds are known */
  Slice: (context) => {
    const { graph, node, upstream } = context;
    const { a } = operands(context);
    const pads = slicePads(context, a);
    if (pads !== undefined) return [sameAs(graph, "Pad", [upstream, ints(graph, pads), scalar(graph, upstream, 0)], a, { mode: "constant" })];
    return [movedBack(context, node.inputs.slice(1))];
  },
  /** Constant: g without the edges. Other modes repeat elements: g is added up at their places. */
  Pad: (context) => {
    const { graph, node, upstream, needed } = context;
    const { a } = operands(context);
    const [pads, axes] = [inputOf(context, 1), node.inputs[3]];
    if (needed[2] === true) throw new GraphError("a computed constant_value has no gradient");
    if (textAttribute(node, "mode", "constant") !== "constant") return [movedBack(context, [pads, undefined, axes])];
    const back = graph.node("Neg", [pads], { datatype: pads.datatype, shape: pads.shape });
    return [sameAs(graph, "Pad", axes === undefined ? [upstream, back] : [upstream, back, undefined, axes], a, { mode: "constant" })];
  },
  /** The sum over what was spread. */
  Expand: (context) => [unbroadcast(context.graph, context.upstream, operands(context).a)],
  /** The sum over the repeats: [r₀·d₀, …] → [r₀, d₀, …] */
  Tile: (context) => {
    const { graph, upstream } = context;
    const { a } = operands(context);
    const repeats = inputOf(context, 1);
    const rank = a.shape.length;
    const pair = (value: Value): Value => graph.node("Unsqueeze", [value, ints(graph, [1])], { datatype: "INT64", shape: [rank, 1] });
    const pairs = graph.node("Concat", [pair(repeats), pair(sizesOf(graph, a))], { datatype: "INT64", shape: [rank, 2] }, { axis: 1 });
    const sizes = reshapeTo(graph, pairs, ints(graph, [-1]), [2 * rank]);
    const apart = reshapeTo(graph, upstream, sizes, a.shape.flatMap((size, axis): Dimension[] => [`?repeat${axis}`, size]));
    return [graph.node("ReduceSum", [apart, ints(graph, a.shape.map((_, axis) => 2 * axis))], { datatype: a.datatype, shape: a.shape }, { keepdims: 0 })];
  },
  /** The same triangle of g. */
  Trilu: ({ graph, node, upstream }) => [sameAs(graph, "Trilu", [upstream, node.inputs[1]], upstream, { upper: intAttribute(node, "upper", 1) })],
  /** The inverse order. */
  DepthToSpace: (context) => {
    const { graph, node, upstream } = context;
    const { a } = operands(context);
    if (textAttribute(node, "mode", "DCR") === "DCR") return [sameAs(graph, "SpaceToDepth", [upstream], a, { blocksize: intAttribute(node, "blocksize", 1) })];
    // Columns first: y [N, C, H·b, W·b] is x [N, C, b, b, H, W] turned.
    const block = intAttribute(node, "blocksize", 1);
    const [batch = 1, channels = 1, height = 1, width = 1] = a.shape;
    const inner = typeof channels === "number" ? channels / block ** 2 : -1;
    const split = reshapeTo(graph, upstream, sizeList(graph, sizesOf(graph, a, 0, 1), [inner], sizesOf(graph, a, 2, 3), [block], sizesOf(graph, a, 3, 4), [block]), [batch, inner < 0 ? "?channels" : inner, height, block, width, block]);
    const turned = graph.node("Transpose", [split], { datatype: a.datatype, shape: [batch, inner < 0 ? "?channels" : inner, block, block, height, width] }, { perm: [0, 1, 3, 5, 2, 4] });
    return [reshapeTo(graph, turned, sizesOf(graph, a), a.shape)];
  },
  SpaceToDepth: (context) => [sameAs(context.graph, "DepthToSpace", [context.upstream], operands(context).a, { blocksize: intAttribute(context.node, "blocksize", 1), mode: "DCR" })],
};

/** Pads that undo a slice of step 1, when every bound and size is a number. */
function slicePads({ graph, node }: RuleContext, x: Value): number[] | undefined {
  const [starts, ends] = [numbersOf(graph, node.inputs[1]), numbersOf(graph, node.inputs[2])];
  const axes = node.inputs[3] === undefined ? starts?.map((_, index) => index) : numbersOf(graph, node.inputs[3]);
  const steps = node.inputs[4] === undefined ? starts?.map(() => 1) : numbersOf(graph, node.inputs[4]);
  if (starts === undefined || ends === undefined || axes === undefined || steps?.every((step) => step === 1) !== true) return undefined;
  const rank = x.shape.length;
  const pads = new Array<number>(2 * rank).fill(0);
  for (const [index, stated] of axes.entries()) {
    const axis = stated < 0 ? stated + rank : stated;
    const size = x.shape[axis];
    if (typeof size !== "number") return undefined;
    const clamp = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + size : bound, 0), size);
    const [start, end] = [clamp(starts[index] ?? 0), clamp(ends[index] ?? size)];
    pads[axis] = start;
    pads[axis + rank] = size - Math.max(start, end);
  }
  return pads;
}
