import type { Datatype } from "@servable/tensor";
import { GraphError } from "../graph-error.ts";
import { isUnknown, type Dimension, type GraphNode, type OutputSpec, type Value } from "../graph.ts";

/** What the types of a node's outputs follow from. */
export interface Inference {
  readonly node: Pick<GraphNode, "opType" | "domain" | "attributes">;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputCount: number;
  /** Elements of an integer tensor as far as they are known: sizes, or names of sizes. */
  contents(value: Value | undefined): readonly Dimension[] | undefined;
  /** Elements of a constant float tensor; undefined for one that is computed. */
  floats(value: Value | undefined): readonly number[] | undefined;
  /** The datatype of an ONNX element type. @throws GraphError for those that no tensor here has */
  datatype(elementType: number): Datatype;
  /** A size that nobody knows yet. */
  unknown(): Dimension;
}

/** Datatypes and shapes of a node's outputs; sizes may be unknown, ranks are known. */
export type InferRule = (inference: Inference) => OutputSpec[];

/** An input that the operator cannot do without. @throws GraphError */
export function operand({ node, inputs }: Pick<Inference, "node" | "inputs">, index: number): Value {
  const value = inputs[index];
  if (value === undefined) throw new GraphError(`${node.opType} lacks its input ${index}`);
  return value;
}

/** An axis counted from the front. @throws GraphError */
export function axisOf(axis: number, rank: number, opType: string): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(positive) || positive < 0 || positive >= Math.max(rank, 1)) throw new GraphError(`${opType}: axis ${axis} of ${rank} dimensions`);
  return positive;
}

/** Numbers of an integer operand, undefined when not all are known. */
export function numbersOf(inference: Inference, index: number): readonly number[] | undefined {
  const contents = inference.contents(inference.inputs[index]);
  return contents?.every((each) => typeof each === "number") === true ? contents : undefined;
}

/** How many elements a one-dimensional operand has. @throws GraphError when nobody can know: the output's rank hangs on it */
export function lengthOf(inference: Inference, index: number): number {
  const [length, ...more] = operand(inference, index).shape;
  if (typeof length !== "number" || more.length > 0) throw new GraphError(`${inference.node.opType}: the number of dimensions depends on what the model is asked`);
  return length;
}

/** The product of sizes, undefined when one is not known. */
export function productOf(dimensions: readonly Dimension[]): number | undefined {
  return dimensions.reduce<number | undefined>((product, size) => (product === undefined || typeof size !== "number" ? undefined : product * size), 1);
}

/** Whether two sizes cannot be the same: other numbers, or other names that callers gave. */
export function differ(a: Dimension | undefined, b: Dimension | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b && !isUnknown(a) && !isUnknown(b);
}
