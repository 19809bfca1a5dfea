// Graphs inside graphs are written out, so that gradients and rewrites see operators only. A loop of a constant number of
// rounds becomes that many copies of its body; both branches of an If run and the condition chooses, unless it is constant.

import { elementsOf } from "@servable/tensor";
import { intAttribute, intsAttribute } from "../attributes.ts";
import { GraphError } from "../graph-error.ts";
import type { Graph, Value } from "../graph.ts";
import type { GraphProto, NodeProto } from "../gen/onnx/onnx_pb.js";
import { contentsIn } from "../infer/contents.ts";
import { op } from "../ops/op.ts";
import { attributeOfProto } from "./attribute-of-proto.ts";
import { innerScope, type ImportScope } from "./import-scope.ts";

type ImportBody = (body: GraphProto, given: readonly Value[], scope: ImportScope) => Value[];
type Flow = (proto: NodeProto, inputs: readonly (Value | undefined)[], scope: ImportScope, importBody: ImportBody) => Value[];

/** Rounds that are written out. */
export const TRIPS_MAX = 4_096;

/** Operators with graphs in their attributes. */
export const CONTROL_FLOW: Readonly<Record<string, Flow>> = {
  If: (proto, [condition], scope, importBody) => {
    if (condition === undefined) throw new GraphError("If lacks its condition");
    const branch = (name: string): Value[] => importBody(bodyOf(proto, name), [], inner(scope));
    const constant = constantBool(scope.graph, condition);
    if (constant !== undefined) return branch(constant ? "then_branch" : "else_branch");
    const [yes, no] = [branch("then_branch"), branch("else_branch")];
    return yes.map((value, index) => {
      const other = no[index];
      if (other === undefined || !sameShape(value, other)) throw new GraphError(`the branches give another shape at output ${index}, [${value.shape.join()}] and [${other?.shape.join() ?? ""}]: only branches of the same shape can be chosen between by a value`);
      return op(scope.graph, "Where", [condition, value, other]);
    });
  },
  Loop: (proto, [trips, condition, ...initial], scope, importBody) => {
    const { graph } = scope;
    const body = bodyOf(proto, "body");
    const [count] = contentsIn(graph).of(trips) ?? [];
    if (typeof count !== "number") throw new GraphError("the number of rounds is not constant: only loops that can be written out are supported");
    bounded(count);
    let going = condition ?? graph.constant("BOOL", [], [true]);
    if (constantBool(graph, going) !== true) throw new GraphError("the loop may end early, by a condition that is not constant: only loops that can be written out are supported");
    let carried = initial.map((value, index) => present(value, index));
    const collected: Value[][] = Array.from({ length: body.output.length - 1 - carried.length }, () => []);
    for (let round = 0; round < count; round++) {
      const [next, ...results] = importBody(body, [graph.constant("INT64", [], [BigInt(round)]), going, ...carried], inner(scope));
      const constant = next && constantBool(graph, next);
      if (next === undefined || constant === undefined) throw new GraphError("the loop may end early, by a condition that is not constant: only loops that can be written out are supported");
      const last = carried.length;
      carried = results.slice(0, last);
      results.slice(last).forEach((value, index) => collected[index]?.push(value));
      going = next;
      if (!constant) break;
    }
    return [...carried, ...collected.map((values) => stacked(graph, values, 0))];
  },
  Scan: (proto, inputs, scope, importBody) => {
    const { graph } = scope;
    const body = bodyOf(proto, "body");
    const plain = { opType: "Scan", attributes: Object.fromEntries(proto.attribute.filter(({ g }) => g === undefined).map((attribute) => [attribute.name, attributeOfProto(attribute, "Scan")])) };
    const scanned = intAttribute(plain, "num_scan_inputs", 0);
    if (scope.opset < 9) throw new GraphError("Scan of opset 8 has no counterpart in a newer one");
    const operands = inputs.map((value, index) => present(value, index));
    const states = operands.length - scanned;
    const axes = (name: string, count: number): readonly number[] => intsAttribute(plain, name) ?? Array.from({ length: count }, () => 0);
    const [inAxes, inBackward] = [axes("scan_input_axes", scanned), axes("scan_input_directions", scanned)];
    const outCount = body.output.length - states;
    const [outAxes, outBackward] = [axes("scan_output_axes", outCount), axes("scan_output_directions", outCount)];
    const axisAt = (index: number): number => fromFront(inAxes[index] ?? 0, operands[states + index]?.shape.length ?? 1);
    const count = operands[states]?.shape[axisAt(0)];
    if (typeof count !== "number") throw new GraphError("the number of rounds is not known: only scans that can be written out are supported");
    bounded(count);
    let carried = operands.slice(0, states);
    const collected: Value[][] = Array.from({ length: outCount }, () => []);
    for (let round = 0; round < count; round++) {
      const rows = operands.slice(states).map((value, index) => op(graph, "Gather", [value, graph.constant("INT64", [], [BigInt(inBackward[index] === 1 ? count - 1 - round : round)])], { axis: axisAt(index) }));
      const results = importBody(body, [...carried, ...rows], inner(scope));
      carried = results.slice(0, states);
      results.slice(states).forEach((value, index) => collected[index]?.push(value));
    }
    return [...carried, ...collected.map((values, index) => stacked(graph, outBackward[index] === 1 ? values.reverse() : values, fromFront(outAxes[index] ?? 0, (values[0]?.shape.length ?? 0) + 1)))];
  },
};

const inner = (scope: ImportScope): ImportScope => innerScope(scope, { outer: scope });
const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

function bodyOf(proto: NodeProto, name: string): GraphProto {
  const body = proto.attribute.find((attribute) => attribute.name === name)?.g;
  if (body === undefined) throw new GraphError(`${proto.opType} lacks its ${name}`);
  return body;
}

function present(value: Value | undefined, index: number): Value {
  if (value === undefined) throw new GraphError(`the value ${index} that is carried along is left out`);
  return value;
}

function bounded(count: number): void {
  if (count > TRIPS_MAX) throw new GraphError(`${count} rounds are more than the ${TRIPS_MAX} that are written out`);
}

function stacked(graph: Graph, values: readonly Value[], axis: number): Value {
  if (values.length === 0) throw new GraphError("a loop of no rounds collects nothing");
  const axes = graph.constant("INT64", [1], [BigInt(axis)]);
  return op(graph, "Concat", values.map((value) => op(graph, "Unsqueeze", [value, axes])), { axis });
}

function sameShape(a: Value, b: Value): boolean {
  return a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}

/** What a condition is known to be: a constant, also behind copies of it. */
function constantBool(graph: Graph, value: Value): boolean | undefined {
  const tensor = graph.initializers.get(value.name)?.tensor;
  if (tensor !== undefined) return tensor.datatype === "BOOL" ? Boolean(elementsOf(tensor)[0]) : undefined;
  const node = graph.nodes.findLast(({ outputs }) => outputs.includes(value));
  const [source] = node?.inputs ?? [];
  if (node === undefined || source === undefined) return undefined;
  if (["Identity", "Squeeze", "Unsqueeze", "Reshape"].includes(node.opType) || (node.opType === "Cast" && source.datatype === "BOOL")) return constantBool(graph, source);
  if (node.opType === "Not") {
    const negated = constantBool(graph, source);
    return negated === undefined ? undefined : !negated;
  }
  const [a, b] = node.inputs.map((operand) => contentsIn(graph).of(operand)?.[0]);
  if (typeof a === "number" && node.opType === "Cast") return a !== 0;
  if (typeof a !== "number" || typeof b !== "number") return undefined;
  if (node.opType === "Equal") return a === b;
  if (node.opType === "Greater") return a > b;
  return node.opType === "Less" ? a < b : undefined;
}
