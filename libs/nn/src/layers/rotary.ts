import { add, cast, concat, mul, neg, ELEMENT_TYPES, type Value } from "@servable/onnx";
import { splitLast, unsqueeze } from "../nodes.ts";
import type { Scope } from "../scope.ts";
import { positionsOf } from "./positions.ts";

/** Angles of positions as cosines and sines: [sequence, size], both halves alike. */
export interface RotaryTable {
  readonly cos: Value;
  readonly sin: Value;
}

/**
 * The angles of positions 0, 1, 2, … for heads of a size: position·base^(-2i/size) for i < size/2, twice.
 *
 * @param like a value whose axis `axis` is the sequence: its size may vary in a graph that is served
 *
 * Source: Su et al., RoFormer (2021), equation 34, in the half-rotation order that Hugging Face's models have.
 */
export function rotaryTable(nn: Scope, like: Value, axis: number, size: number, base = 10_000): RotaryTable {
  const { graph } = nn;
  const frequencies = Array.from({ length: size }, (_, index) => base ** ((-2 * (index % (size / 2))) / size));
  const length = like.shape.at(axis);
  if (typeof length === "number") {
    const table = (apply: (angle: number) => number): Value => graph.constant("FP32", [length, size], Array.from({ length: length * size }, (_, at) => apply(Math.floor(at / size) * (frequencies[at % size] as number))));
    return { cos: table(Math.cos), sin: table(Math.sin) };
  }
  const positions = positionsOf(nn, like, axis); // [sequence]
  const angles = mul(graph, unsqueeze(graph, cast(graph, positions, "FP32", ELEMENT_TYPES.FP32), [1]), graph.constant("FP32", [1, size], frequencies)); // [sequence, size]
  const wave = (opType: string): Value => graph.node(opType, [angles], { datatype: "FP32", shape: angles.shape });
  return { cos: wave("Cos"), sin: wave("Sin") };
}

/** x·cos + rotated(x)·sin, rotated(x) = [-x₂, x₁] of its halves. x: [… sequence, size]. */
export function rotate({ graph }: Scope, x: Value, { cos, sin }: RotaryTable): Value {
  const [first, second] = splitLast(graph, x, 2) as [Value, Value];
  const turned = concat(graph, [neg(graph, second), first], x.shape.length - 1);
  return add(graph, mul(graph, x, cos), mul(graph, turned, sin));
}
