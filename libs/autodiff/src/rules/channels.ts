import { add, mul, type Dimension, type Graph, type Value } from "@servable/onnx";
import { reshapeTo, sameAs, scalar, sizeList, sumOver, type RuleContext } from "./rule.ts";

/** 1/√(x + ε) */
export function inverseRoot(graph: Graph, x: Value, epsilon: number): Value {
  return sameAs(graph, "Reciprocal", [sameAs(graph, "Sqrt", [add(graph, x, scalar(graph, x, epsilon))], x)], x);
}

/** [C] as [C, 1, …], which broadcasts over [N, C, …]. */
export function channelwise(graph: Graph, value: Value, x: Value): Value {
  const shape: Dimension[] = [value.shape[0] ?? 1, ...x.shape.slice(2).map(() => 1)];
  return shape.length === 1 ? value : reshapeTo(graph, value, sizeList(graph, [-1, ...x.shape.slice(2).map(() => 1)]), shape);
}

export const channelSum = (graph: Graph, value: Value): Value => {
  const axes = value.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const summed = sumOver(graph, value, axes);
  return reshapeTo(graph, summed, sizeList(graph, [-1]), [value.shape[1] ?? 1]);
};

/** The gradients of a scale and a bias for each channel. */
export function channelSums({ graph, upstream, needed }: RuleContext, normalised: Value): (Value | undefined)[] {
  return [needed[1] === true ? channelSum(graph, mul(graph, upstream, normalised)) : undefined, needed[2] === true ? channelSum(graph, upstream) : undefined];
}
