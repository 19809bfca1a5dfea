import { intAttribute } from "../attributes.ts";
import type { Dimension } from "../graph.ts";
import { broadcastShapes } from "../ops/broadcast.ts";
import { windowOf } from "../window.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

function product(inference: Inference, first: number, second: number): Dimension[] {
  const [a, b] = [operand(inference, first).shape, operand(inference, second).shape];
  return [...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), ...(a.length === 1 ? [] : a.slice(-2, -1)), ...(b.length === 1 ? [] : b.slice(-1))];
}

function convolved(inference: Inference, x: readonly Dimension[], w: readonly Dimension[]): Dimension[] {
  const window = windowOf(inference.node, x.slice(2), w.slice(2));
  return [x[0] ?? 1, w[0] ?? 1, ...x.slice(2).map((_, axis) => window.outputSize(axis) ?? inference.unknown())];
}

/** Operators on quantized numbers. */
export const QUANTIZED_TYPES: Readonly<Record<string, InferRule>> = {
  MatMulInteger: (inference) => [{ datatype: "INT32", shape: product(inference, 0, 1) }],
  QLinearMatMul: (inference) => [{ datatype: operand(inference, 7).datatype, shape: product(inference, 0, 3) }],
  ConvInteger: (inference) => [{ datatype: "INT32", shape: convolved(inference, operand(inference, 0).shape, operand(inference, 1).shape) }],
  QLinearConv: (inference) => [{ datatype: operand(inference, 7).datatype, shape: convolved(inference, operand(inference, 0).shape, operand(inference, 3).shape) }],
  DynamicQuantizeLinear: (inference) => [
    { datatype: "UINT8" as const, shape: operand(inference, 0).shape },
    { datatype: "FP32" as const, shape: [] },
    { datatype: "UINT8" as const, shape: [] },
  ].slice(0, inference.outputCount),
  BitCast: (inference) => [{ datatype: inference.datatype(intAttribute(inference.node, "to", 0)), shape: operand(inference, 0).shape }],
};
