import type { Datatype } from "@servable/tensor";
import { ELEMENT_TYPES } from "../element-type.ts";
import type { Graph, Value } from "../graph.ts";
import { op } from "./op.ts";

/** ai.onnx::Add, elementwise with broadcasting, as all of this file. */
export const add = (graph: Graph, a: Value, b: Value): Value => op(graph, "Add", [a, b]);
/** ai.onnx::Sub. */
export const sub = (graph: Graph, a: Value, b: Value): Value => op(graph, "Sub", [a, b]);
/** ai.onnx::Mul. */
export const mul = (graph: Graph, a: Value, b: Value): Value => op(graph, "Mul", [a, b]);
/** ai.onnx::Div; of whole numbers it cuts towards zero. */
export const div = (graph: Graph, a: Value, b: Value): Value => op(graph, "Div", [a, b]);
/** ai.onnx::Pow; the exponent may have another datatype. */
export const pow = (graph: Graph, a: Value, b: Value): Value => op(graph, "Pow", [a, b]);
/** ai.onnx::Mod of whole numbers; the sign is the divisor's. */
export const mod = (graph: Graph, a: Value, b: Value): Value => op(graph, "Mod", [a, b]);
/** ai.onnx::Max of any number of operands. */
export const max = (graph: Graph, ...operands: readonly Value[]): Value => op(graph, "Max", operands);
/** ai.onnx::Min of any number of operands. */
export const min = (graph: Graph, ...operands: readonly Value[]): Value => op(graph, "Min", operands);
/** ai.onnx::Sum of any number of operands. */
export const sum = (graph: Graph, ...operands: readonly Value[]): Value => op(graph, "Sum", operands);

/** ai.onnx::Equal → BOOL. */
export const equal = (graph: Graph, a: Value, b: Value): Value => op(graph, "Equal", [a, b]);
/** ai.onnx::Greater → BOOL. */
export const greater = (graph: Graph, a: Value, b: Value): Value => op(graph, "Greater", [a, b]);
/** ai.onnx::GreaterOrEqual → BOOL. */
export const greaterOrEqual = (graph: Graph, a: Value, b: Value): Value => op(graph, "GreaterOrEqual", [a, b]);
/** ai.onnx::Less → BOOL. */
export const less = (graph: Graph, a: Value, b: Value): Value => op(graph, "Less", [a, b]);
/** ai.onnx::LessOrEqual → BOOL. */
export const lessOrEqual = (graph: Graph, a: Value, b: Value): Value => op(graph, "LessOrEqual", [a, b]);
/** ai.onnx::And of BOOLs. */
export const and = (graph: Graph, a: Value, b: Value): Value => op(graph, "And", [a, b]);
/** ai.onnx::Or of BOOLs. */
export const or = (graph: Graph, a: Value, b: Value): Value => op(graph, "Or", [a, b]);
/** ai.onnx::Not of a BOOL. */
export const not = (graph: Graph, x: Value): Value => op(graph, "Not", [x]);
/** ai.onnx::IsNaN → BOOL. */
export const isNaN = (graph: Graph, x: Value): Value => op(graph, "IsNaN", [x]);
/** ai.onnx::IsInf → BOOL, of either sign. */
export const isInf = (graph: Graph, x: Value): Value => op(graph, "IsInf", [x]);

/** ai.onnx::Neg. */
export const neg = (graph: Graph, x: Value): Value => op(graph, "Neg", [x]);
/** ai.onnx::Abs. */
export const abs = (graph: Graph, x: Value): Value => op(graph, "Abs", [x]);
/** ai.onnx::Sign. */
export const sign = (graph: Graph, x: Value): Value => op(graph, "Sign", [x]);
/** ai.onnx::Exp. */
export const exp = (graph: Graph, x: Value): Value => op(graph, "Exp", [x]);
/** ai.onnx::Log. */
export const log = (graph: Graph, x: Value): Value => op(graph, "Log", [x]);
/** ai.onnx::Sqrt. */
export const sqrt = (graph: Graph, x: Value): Value => op(graph, "Sqrt", [x]);
/** ai.onnx::Reciprocal: 1/x. */
export const reciprocal = (graph: Graph, x: Value): Value => op(graph, "Reciprocal", [x]);
/** ai.onnx::Sin. */
export const sin = (graph: Graph, x: Value): Value => op(graph, "Sin", [x]);
/** ai.onnx::Cos. */
export const cos = (graph: Graph, x: Value): Value => op(graph, "Cos", [x]);
/** ai.onnx::Erf. */
export const erf = (graph: Graph, x: Value): Value => op(graph, "Erf", [x]);
/** ai.onnx::Floor. */
export const floor = (graph: Graph, x: Value): Value => op(graph, "Floor", [x]);
/** ai.onnx::Ceil. */
export const ceil = (graph: Graph, x: Value): Value => op(graph, "Ceil", [x]);
/** ai.onnx::Round, halves to the even neighbour. */
export const round = (graph: Graph, x: Value): Value => op(graph, "Round", [x]);
/** ai.onnx::Identity. */
export const identity = (graph: Graph, x: Value): Value => op(graph, "Identity", [x]);

/** ai.onnx::Clip to [low, high]; a bound left out does not hold. */
export function clip(graph: Graph, x: Value, low?: number, high?: number): Value {
  const bound = (value: number | undefined): Value | undefined => (value === undefined ? undefined : graph.constant(x.datatype, [], [value]));
  return op(graph, "Clip", [x, bound(low), bound(high)]);
}

/** ai.onnx::Cast. @param elementType ONNX's number of the datatype, which follows from it */
export function cast(graph: Graph, x: Value, datatype: Datatype, elementType: number = ELEMENT_TYPES[datatype]): Value {
  return op(graph, "Cast", [x], { to: elementType });
}

/** ai.onnx::Where: `x` where the condition holds, else `y`. */
export const where = (graph: Graph, condition: Value, x: Value, y: Value): Value => op(graph, "Where", [condition, x, y]);

/** A number of the datatype of another value. */
export const scalar = (graph: Graph, like: Value, value: number): Value => graph.constant(like.datatype, [], [value]);
