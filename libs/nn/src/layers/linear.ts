import { gemm, type Value } from "@servable/onnx";
import { kaimingUniform, uniform } from "../initializers.ts";
import { sizeOf, stacked, unstacked } from "../nodes.ts";
import type { Initializer, Scope } from "../scope.ts";

/** Settings of a linear layer. */
export interface LinearOptions {
  /** @default true */
  readonly bias?: boolean;
  /** @default as PyTorch: uniform within ±1/√inputs */
  readonly initialize?: Initializer;
  /** @default as PyTorch: uniform within ±1/√inputs */
  readonly initializeBias?: Initializer;
}

/**
 * x·weightᵀ + bias. x: [… inputs] → [… outputs].
 *
 * Parameters as torch.nn.Linear: weight [outputs, inputs], bias [outputs].
 */
export function linear(nn: Scope, x: Value, outputs: number, { bias = true, initialize = kaimingUniform, initializeBias }: LinearOptions = {}): Value {
  const inputs = sizeOf(x, -1);
  const weight = nn.parameter("weight", [outputs, inputs], initialize);
  const c = bias ? nn.parameter("bias", [outputs], initializeBias ?? uniform(1 / Math.sqrt(inputs))) : undefined;
  return affine(nn, x, weight, c);
}

/** The same over values that are there already, e.g. a head that shares the table of an embedding. */
export function affine({ graph }: Scope, x: Value, weight: Value, bias?: Value): Value {
  return unstacked(graph, gemm(graph, stacked(graph, x), weight, { transB: true, ...(bias === undefined ? {} : { c: bias }) }), x);
}
