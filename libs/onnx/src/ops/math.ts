import type { Datatype } from "@servable/tensor";
import { GraphError, type Dimension, type Graph, type Value } from "../graph.ts";
import { broadcastShapes } from "./broadcast.ts";

function elementwise(graph: Graph, opType: string, a: Value, b: Value, datatype: Datatype = a.datatype): Value {
  if (a.datatype !== b.datatype) throw new GraphError(`${opType} of ${a.datatype} and ${b.datatype}: cast one of them`);
  return graph.node(opType, [a, b], { datatype, shape: broadcastShapes(a.shape, b.shape) });
}

function unary(graph: Graph, opType: string, x: Value): Value {
  return graph.node(opType, [x], { datatype: x.datatype, shape: x.shape });
}

/** ai.onnx::Add, elementwise with broadcasting. */
export const add = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Add", a, b);
/** ai.onnx::Sub. */
export const sub = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Sub", a, b);
/** ai.onnx::Mul. */
export const mul = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Mul", a, b);
/** ai.onnx::Div. */
export const div = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Div", a, b);
/** ai.onnx::Equal → BOOL. */
export const equal = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Equal", a, b, "BOOL");
/** ai.onnx::Greater → BOOL. */
export const greater = (graph: Graph, a: Value, b: Value): Value => elementwise(graph, "Greater", a, b, "BOOL");
/** ai.onnx::Neg. */
export const neg = (graph: Graph, x: Value): Value => unary(graph, "Neg", x);
/** ai.onnx::Exp. */
export const exp = (graph: Graph, x: Value): Value => unary(graph, "Exp", x);
/** ai.onnx::Log. */
export const log = (graph: Graph, x: Value): Value => unary(graph, "Log", x);
/** ai.onnx::Identity. */
export const identity = (graph: Graph, x: Value): Value => unary(graph, "Identity", x);
/** ai.onnx::IsNaN → BOOL. */
export const isNaN = (graph: Graph, x: Value): Value => graph.node("IsNaN", [x], { datatype: "BOOL", shape: x.shape });

/** ai.onnx::Cast. */
export function cast(graph: Graph, x: Value, datatype: Datatype, elementType: number): Value {
  return graph.node("Cast", [x], { datatype, shape: x.shape }, { to: elementType });
}

/** ai.onnx::Where: `x` where the condition holds, else `y`. */
export function where(graph: Graph, condition: Value, x: Value, y: Value): Value {
  if (x.datatype !== y.datatype) throw new GraphError(`Where of ${x.datatype} and ${y.datatype}: cast one of them`);
  return graph.node("Where", [condition, x, y], { datatype: x.datatype, shape: broadcastShapes(condition.shape, broadcastShapes(x.shape, y.shape)) });
}

/** ai.onnx::MatMul of matrices: a [m, k] · b [k, n] → [m, n]. */
export function matMul(graph: Graph, a: Value, b: Value): Value {
  const [m, k] = matrixShape(a);
  const [k2, n] = matrixShape(b);
  if (k !== k2) throw new GraphError(`MatMul of [${a.shape.join()}] and [${b.shape.join()}]: the inner sizes differ`);
  return graph.node("MatMul", [a, b], { datatype: a.datatype, shape: [m, n] });
}

/** ai.onnx::Gemm of matrices: a' · b' (+ c), each of a and b transposed when asked. */
export function gemm(graph: Graph, a: Value, b: Value, options: { c?: Value; transA?: boolean; transB?: boolean } = {}): Value {
  const [m, k] = options.transA === true ? matrixShape(a).reverse() : matrixShape(a);
  const [k2, n] = options.transB === true ? matrixShape(b).reverse() : matrixShape(b);
  if (k !== k2) throw new GraphError(`Gemm of [${a.shape.join()}] and [${b.shape.join()}]: the inner sizes differ`);
  const inputs = options.c === undefined ? [a, b] : [a, b, options.c];
  return graph.node("Gemm", inputs, { datatype: a.datatype, shape: [m as Dimension, n as Dimension] }, { transA: options.transA === true ? 1 : 0, transB: options.transB === true ? 1 : 0 });
}

function matrixShape(x: Value): [Dimension, Dimension] {
  const [rows, columns] = x.shape;
  if (x.shape.length !== 2 || rows === undefined || columns === undefined) throw new GraphError(`"${x.name}" has shape [${x.shape.join()}], a matrix is needed`);
  return [rows, columns];
}
