import { GraphError, div, intAttribute, intsAttribute, windowOf, type Dimension, type Value, type Window } from "@servable/onnx";
import { convInputGradient, known } from "./conv.ts";
import { maxPool, spread, tiles } from "./max-pool.ts";
import { countOver, ints, operands, reshapeTo, scalar, sizeList, sizesOf, spreadLike, times, zerosLike, type Rule, type RuleContext } from "./rule.ts";

const spatialAxes = (x: Value): number[] => x.shape.slice(2).map((_, axis) => axis + 2);

/** Pools. */
export const POOL: Readonly<Record<string, Rule>> = {
  /** g at the first maximum of each window, see max-pool.ts */
  MaxPool: maxPool,
  /** g/n to each of a window's n elements: windows side by side by spreading, others by a ConvTranspose with ones, channel by channel. */
  AveragePool: (context) => {
    const { graph, node, upstream } = context;
    const { a: x } = operands(context);
    const [, channels] = x.shape;
    const kernel = intsAttribute(node, "kernel_shape") ?? [];
    const reach = windowOf(node, x.shape.slice(2), kernel);
    if (typeof channels !== "number") throw new GraphError("a number of channels that varies has no gradient");
    const over = kernel.map((_, axis) => (intAttribute(node, "ceil_mode", 0) === 1 ? overEnd(reach, axis, x) : 0));
    const countsPads = intAttribute(node, "count_include_pad", 0) === 1 && [...reach.padsBefore, ...reach.padsAfter].some((pad) => pad !== 0);
    if (over.some((size) => size > 0) && countsPads) throw new GraphError("ceil_mode that counts padding has no gradient where windows reach over the end");
    const whole = known(reach, channels);
    // What a last window reaches over the end is padding that does not count.
    const window = { ...whole, padsAfter: whole.padsAfter.map((pad, axis) => pad + (over[axis] ?? 0)) };
    if (tiles(x, reach) && x.datatype === "FP32") return [spread(graph, times(graph, upstream, 1 / kernel.reduce((product, size) => product * size, 1)), kernel, x)];
    const all = kernel.reduce((product, size) => product * size, 1);
    const ones = onesKernel(graph, channels, kernel);
    const { strides, dilations, padsBefore, padsAfter } = window;
    const counted = (): Value => {
      // Padding does not count: a Conv of ones says how many elements each window has.
      const full = graph.node("Expand", [scalar(graph, x, 1), sizesOf(graph, x)], { datatype: x.datatype, shape: x.shape });
      return graph.node("Conv", [full, ones], { datatype: x.datatype, shape: upstream.shape }, { strides: [...strides], dilations: [...dilations], pads: [...padsBefore, ...padsAfter], group: channels });
    };
    const padded = [...padsBefore, ...padsAfter].some((pad) => pad > 0) && !countsPads;
    return [convInputGradient(graph, padded ? div(graph, upstream, counted()) : times(graph, upstream, 1 / all), ones, window, x)];
  },
  /** g/n everywhere */
  GlobalAveragePool: (context) => {
    const { graph, upstream } = context;
    const { a: x } = operands(context);
    return [spreadLike(graph, div(graph, upstream, countOver(graph, x, spatialAxes(x))), x)];
  },
  /** g at the first maximum of each channel, as PyTorch */
  GlobalMaxPool: (context) => {
    const { graph, upstream } = context;
    const { a: x } = operands(context);
    const [batch = 1, channels = 1] = x.shape;
    const flat = (value: Value, size: Dimension): Value => reshapeTo(graph, value, sizeList(graph, [0, 0, -1]), [batch, channels, size]);
    const rows = flat(x, "?pixels");
    const first = graph.node("ArgMax", [rows], { datatype: "INT64", shape: [batch, channels, 1] }, { axis: 2, keepdims: 1 });
    const placed = graph.node("ScatterElements", [zerosLike(graph, rows), first, flat(upstream, 1)], { datatype: x.datatype, shape: rows.shape }, { axis: 2 });
    return [reshapeTo(graph, placed, sizesOf(graph, x), x.shape)];
  },
};

/** How far the last window of ceil_mode reaches over the padded end. */
function overEnd(reach: Window, axis: number, x: Value): number {
  const [count, size, kernel, before, after] = [reach.outputSize(axis, true), x.shape[axis + 2], reach.kernel[axis], reach.padsBefore[axis], reach.padsAfter[axis]];
  if (count === undefined || typeof size !== "number" || kernel === undefined || before === undefined || after === undefined) throw new GraphError("ceil_mode of a size that varies has no gradient");
  const wide = (reach.dilations[axis] ?? 1) * (kernel - 1) + 1;
  return Math.max(0, (count - 1) * (reach.strides[axis] ?? 1) + wide - size - before - after);
}

function onesKernel(graph: RuleContext["graph"], channels: number, kernel: readonly number[]): Value {
  return graph.node("Expand", [graph.constant("FP32", [], [1]), ints(graph, [channels, 1, ...kernel])], { datatype: "FP32", shape: [channels, 1, ...kernel] });
}
