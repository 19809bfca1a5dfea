// Low-rank adapters: y = x·W + s·(x·A)·B with W frozen. A is random and B zero at first, so that training begins with what
// the model was. Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021), section 4.1; A's first values
// are those of Hugging Face's PEFT, uniform within ±1/√in.

import { add, intAttribute, matMul, mul, op, ops, scalar, transpose, type Graph, type ImportedNode, type Value } from "@servable/onnx";
import type { ModelWeight } from "./weight-roles.ts";
import { chosen } from "./name-patterns.ts";
import type { WeightTracker } from "./weight-tracker.ts";

/** How adapters are made. */
export interface LoraOptions {
  /** Columns of A and rows of B. */
  readonly rank: number;
  /** The adapters' share is alpha/rank. @default 2·rank */
  readonly alpha?: number;
  /** Patterns of the names of weights that get one: matrices, and kernels of convolutions without groups. @default every weight of a matrix product */
  readonly target?: readonly string[];
  /** Chance that an element of x is left out of the adapters' way while they train. @default 0 */
  readonly dropout?: number;
}

/** The two factors beside a weight. For a matrix [in, out]: a [in, rank], b [rank, out]. For a kernel [out, in, …]: a [rank, in, …], b [out, rank, 1, …]. */
export interface LoraFactors {
  readonly a: Value;
  readonly b: Value;
}

/** Shapes of the factors of one weight. */
export interface LoraShape {
  readonly a: readonly number[];
  readonly b: readonly number[];
  /** Numbers that flow into one number of the output: bounds A's first values. */
  readonly fanIn: number;
}

/** Name of the first factor of a weight. */
export const loraA = (weight: string): string => `${weight}.lora_A`;
/** Name of the second factor of a weight. */
export const loraB = (weight: string): string => `${weight}.lora_B`;

/** Operators beside which an adapter can stand, by the operand that is the weight. */
const ADAPTED: Readonly<Record<string, number>> = { MatMul: 1, Gemm: 1, Conv: 1 };

/** The weights that get adapters. @throws GraphError for a pattern that fits none that can have one */
export function adaptedWeights(weights: ReadonlyMap<string, ModelWeight>, target: readonly string[] | undefined): Set<string> {
  const able = [...weights.values()].filter((weight) => weight.uses.length > 0 && weight.uses.every(({ operator, operand, reshaped, node }) => !reshaped && ADAPTED[operator] === operand && canAdapt(node)));
  const wanted = target === undefined ? able.filter(({ uses }) => uses.every(({ operator }) => operator !== "Conv")) : able;
  return chosen(wanted.map(({ name }) => name), target ?? ["*"], "LoRA (matrices and kernels without groups)");
}

/** Shapes of the factors of a weight. */
export function loraShape({ tensor, uses: [use] }: ModelWeight, rank: number): LoraShape {
  const { shape } = tensor;
  if (use?.operator === "Conv") {
    const [out = 1, inner = 1, ...kernel] = shape;
    return { a: [rank, inner, ...kernel], b: [out, rank, ...kernel.map(() => 1)], fanIn: inner * kernel.reduce((product, size) => product * size, 1) };
  }
  const [rows = 1, columns = 1] = shape;
  const turned = use !== undefined && isTurned(use.node, use.transposed);
  const [inputs, outputs] = turned ? [columns, rows] : [rows, columns];
  return { a: [inputs, rank], b: [rank, outputs], fanIn: inputs };
}

/** The node with an adapter beside it; undefined for nodes without. */
export function adapted(graph: Graph, node: ImportedNode, tracker: WeightTracker, factors: (weight: string) => LoraFactors | undefined, scale: number, drop: (x: Value, weight: string) => Value = (x) => x): Value[] | undefined {
  const operand = node.domain === "" ? ADAPTED[node.opType] : undefined;
  const weight = operand === undefined ? undefined : tracker.weightOf(node.inputs[operand]);
  const pair = weight && factors(weight.name);
  const [x] = node.inputs;
  if (weight === undefined || pair === undefined || x === undefined) return undefined;
  const [plain] = ops(graph, node.opType, node.inputs, node.attributes);
  const dropped = drop(x, weight.name);
  const share = (value: Value): Value => mul(graph, value, scalar(graph, value, scale));
  if (node.opType === "Conv") {
    const { group: _, ...window } = node.attributes;
    return [add(graph, plain as Value, share(op(graph, "Conv", [op(graph, "Conv", [dropped, pair.a], window), pair.b])))];
  }
  const rows = node.opType === "Gemm" && intAttribute(node, "transA", 0) === 1 ? transpose(graph, dropped) : dropped;
  return [add(graph, plain as Value, share(matMul(graph, matMul(graph, rows, pair.a), pair.b)))];
}

/** Whether the weight, as the file keeps it, is [out, in] there. */
export function isTurned(node: ImportedNode, transposed: boolean): boolean {
  return transposed !== (node.opType === "Gemm" && intAttribute(node, "transB", 0) === 1);
}

function canAdapt(node: ImportedNode): boolean {
  const weight = node.inputs[1];
  if (node.opType === "Conv") return intAttribute(node, "group", 1) === 1;
  const alpha = node.attributes["alpha"];
  return weight?.shape.length === 2 && (alpha === undefined || (typeof alpha === "object" && "float" in alpha && alpha.float === 1));
}
