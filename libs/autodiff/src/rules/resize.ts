import { GraphError, gather, intAttribute, squeeze, textAttribute, transpose, type Dimension, type Graph, type Value } from "@servable/onnx";
import { inputOf, ints, numbersOf, sizeList, sizesOf, type Rule, type RuleContext } from "./rule.ts";

/** Resizing, and quantization by the straight-through estimator. */
export const RESIZE: Readonly<Record<string, Rule>> = {
  /**
   * Every mode is linear in each axis: y = A·x·Bᵀ for images, so dx = Aᵀ·g·B. A and B are what the same Resize makes of
   * identity matrices, whatever its mode and coordinates are.
   */
  Resize: (context) => {
    const { graph, node, upstream } = context;
    const x = inputOf(context, 0);
    const rank = x.shape.length;
    const mode = textAttribute(node, "coordinate_transformation_mode", "half_pixel");
    if (rank < 3 || node.attributes["axes"] !== undefined || mode === "tf_crop_and_resize" || textAttribute(node, "keep_aspect_ratio_policy", "stretch") !== "stretch") throw new GraphError("only [N, C, …], stretched as a whole, has a gradient");
    const scales = numbersOf(graph, node.inputs[2]);
    if (scales !== undefined && scales.length === rank && (scales[0] !== 1 || scales[1] !== 1)) throw new GraphError("a resized batch or channel has no gradient");
    return [[...x.shape.keys()].slice(2).reduceRight((g, axis) => alongMatrix(graph, g, axisMatrix(context, x, axis), axis, x), upstream)];
  },
  /** Rounding is passed over, what was cut off gets nothing: g·[min ≤ x/s + z ≤ max]. The scale is a constant. */
  QuantizeLinear: (context) => {
    const { graph, node, upstream } = context;
    const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
    const y = node.outputs[0];
    const bounds = y && QUANTIZED[y.datatype];
    if (bounds === undefined || intAttribute(node, "block_size", 0) !== 0) throw new GraphError("this form of quantization has no gradient");
    // What the integers at both ends stand for, half a step further: inside, x was rounded; outside, it was cut off.
    const ends = bounds.map((bound) => {
      const integer = graph.constant(y?.datatype ?? "UINT8", [], [bound]);
      const zero = node.inputs[2];
      const level = (value: Value): Value => graph.node("Cast", [value], { datatype: x.datatype, shape: value.shape }, { to: 1 });
      const distance = zero === undefined ? level(integer) : graph.node("Sub", [level(integer), level(zero)], { datatype: x.datatype, shape: zero.shape });
      const half = graph.constant(x.datatype, [], [bound === bounds[0] ? -0.5 : 0.5]);
      const edge = graph.node("Mul", [graph.node("Add", [distance, half], { datatype: x.datatype, shape: distance.shape }), scale], { datatype: x.datatype, shape: scale.shape });
      return scale.shape.length === 0 || scale.shape[0] === 1 ? edge : alongAxis(graph, edge, x, intAttribute(node, "axis", 1));
    });
    const [low, high] = ends;
    const inside = graph.node("And", [graph.node("GreaterOrEqual", [x, low], { datatype: "BOOL", shape: x.shape }), graph.node("LessOrEqual", [x, high], { datatype: "BOOL", shape: x.shape })], { datatype: "BOOL", shape: x.shape });
    return [graph.node("Where", [inside, upstream, graph.constant(x.datatype, [], [0])], { datatype: x.datatype, shape: x.shape })];
  },
  /** g, in the units of what the integers stand for */
  DequantizeLinear: ({ upstream }) => [upstream],
};

const QUANTIZED: Readonly<Record<string, readonly [number, number]>> = { UINT8: [0, 255], INT8: [-128, 127], UINT16: [0, 65_535], INT16: [-32_768, 32_767] };

function alongAxis(graph: Graph, edge: Value, x: Value, stated: number): Value {
  const axis = stated < 0 ? stated + x.shape.length : stated;
  return graph.node("Reshape", [edge, ints(graph, x.shape.map((_, at) => (at === axis ? -1 : 1)))], { datatype: x.datatype, shape: x.shape.map((size, at) => (at === axis ? size : 1)) });
}

/** g back along one axis, by its matrix [1, 1, out, in]: on the right of the last axis, from the left of the one before, else turned. */
function alongMatrix(graph: Graph, g: Value, matrix: Value, axis: number, x: Value): Value {
  const rank = x.shape.length;
  const size = x.shape[axis] ?? 1;
  const times = (a: Value, b: Value, shape: readonly Dimension[]): Value => graph.node("MatMul", [a, b], { datatype: x.datatype, shape });
  const flat = squeeze(graph, matrix, [0, 1]); // [out, in]
  const back = g.shape.map((each, at) => (at === axis ? size : each));
  if (axis === rank - 1) return times(g, flat, back);
  if (axis === rank - 2) return times(transpose(graph, flat, [1, 0]), g, back);
  const perm = [...g.shape.keys()].map((at) => (at === axis ? rank - 1 : at === rank - 1 ? axis : at));
  const turned = transpose(graph, g, perm);
  return transpose(graph, times(turned, flat, [...turned.shape.slice(0, -1), size]), perm);
}

/** What the node makes of an identity matrix along one axis: [1, 1, out, in]. */
function axisMatrix({ graph, node }: RuleContext, x: Value, axis: number): Value {
  const size = x.shape[axis] ?? 1;
  const sizes = sizeList(graph, sizesOf(graph, x, axis, axis + 1), sizesOf(graph, x, axis, axis + 1));
  const zeros = graph.node("ConstantOfShape", [sizes], { datatype: "FP32", shape: [size, size] });
  const eye = graph.node("Unsqueeze", [graph.node("EyeLike", [zeros], { datatype: "FP32", shape: [size, size] }), ints(graph, [0, 1])], { datatype: "FP32", shape: [1, 1, size, size] });
  // Exporters leave one of the two out, or give it no elements.
  const [scales, target] = [node.inputs[2], node.inputs[3]].map((operand) => (operand?.shape[0] === 0 ? undefined : operand));
  const one = (operand: Value, unit: Value): Value => {
    const own = graph.node("Slice", [operand, ints(graph, [axis]), ints(graph, [axis + 1])], { datatype: operand.datatype, shape: [1] });
    return graph.node("Concat", [unit, own, graph.node("Slice", [unit, ints(graph, [0]), ints(graph, [1])], { datatype: unit.datatype, shape: [1] })], { datatype: operand.datatype, shape: [4] }, { axis: 0 });
  };
  if (target !== undefined) {
    // Gather: onnxruntime infers no sizes at all from a Slice of computed ones.
    const [head, own] = [ints(graph, [1, 1]), gather(graph, target, ints(graph, [axis]))];
    return graph.node("Resize", [eye, undefined, undefined, sizeList(graph, head, own, sizesOf(graph, x, axis, axis + 1))], { datatype: "FP32", shape: [1, 1, "?out", size] }, node.attributes);
  }
  if (scales === undefined) throw new GraphError("neither scales nor sizes");
  return graph.node("Resize", [eye, undefined, one(scales, graph.constant("FP32", [2], [1, 1]))], { datatype: "FP32", shape: [1, 1, "?out", size] }, node.attributes);
}
