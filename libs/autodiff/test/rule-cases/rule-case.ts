import { tensorOf, type Tensor } from "@servable/tensor";
import type { Attribute } from "@servable/onnx";

/** One application of an operator, whose gradients are held against finite differences. */
export interface RuleCase {
  /** Key of the rule: `Conv`, `com.microsoft::FastGelu`. */
  readonly op: string;
  /** What is special about it. */
  readonly about?: string;
  /** A shape = an input that gets a gradient; a tensor = a constant; undefined = left out. */
  readonly operands: readonly (readonly number[] | Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Where the inputs' values lie. @default [-2, 2] */
  readonly range?: readonly [number, number];
  /** Values of the inputs, for ties and other special points. */
  readonly values?: readonly (readonly number[])[];
  /** How many outputs the node has. @default 1 */
  readonly outputCount?: number;
  /** @default that of authored graphs */
  readonly opset?: number;
  /** "zero": the derivative is zero everywhere; "through": it is not the derivative on purpose, and only its shape is checked. */
  readonly instead?: "zero" | "through";
  /** How many outputs the loss depends on, from the first. @default 1, all of a Split */
  readonly lossOutputs?: number;
  /** Gradients that another implementation gave at `values`, in the order of the inputs; undefined = not compared. */
  readonly expected?: readonly (readonly number[] | undefined)[];
  /** Outputs that it gave. */
  readonly expectedOutputs?: readonly (readonly number[])[];
  /** Inputs keep their sizes: the operator cannot be imported with sizes that vary. */
  readonly fixedSizes?: true;
}

/** Whether an operand is an input with a gradient. */
export function isShape(operand: RuleCase["operands"][number]): operand is readonly number[] {
  return Array.isArray(operand);
}

/** Shapes of the inputs that get gradients. */
export function shapesOf({ operands }: Pick<RuleCase, "operands">): (readonly number[])[] {
  return operands.filter(isShape);
}

/** INT64 constant. */
export const ints = (...values: number[]): Tensor => tensorOf("INT64", [values.length], values.map(BigInt));
/** INT64 constant of a shape. */
export const intsOf = (shape: readonly number[], values: readonly number[]): Tensor => tensorOf("INT64", shape, values.map(BigInt));
/** INT64 scalar. */
export const int = (value: number): Tensor => tensorOf("INT64", [], [BigInt(value)]);
/** FP32 constant. */
export const floats = (...values: number[]): Tensor => tensorOf("FP32", [values.length], values);
/** FP32 scalar. */
export const float = (value: number): Tensor => tensorOf("FP32", [], [value]);
/** BOOL constant of a shape. */
export const bools = (shape: readonly number[], values: readonly boolean[]): Tensor => tensorOf("BOOL", shape, values);

/** Cases that differ by their operator alone. */
export const each = (names: string, rest: Omit<RuleCase, "op">): RuleCase[] => names.split(" ").map((op) => ({ op, ...rest }));
