// LSTM, GRU and RNN written out in time: one product of all steps with the input weights, then each step on the one before it.
// What stays are operators that have gradients. Source: ONNX operators, LSTM, GRU and RNN, whose names of gates are used here.

import { GraphError, concat, floatAttribute, gather, greater, intAttribute, matMul, op, operatorKey, reshape, shapeOf, split, textsAttribute, transpose, unsqueeze, where, add, type Graph, type ImportedNode, type Value } from "@servable/onnx";
import { CELLS, activationsOf, type Cell, type CellState } from "./recurrent-cells.ts";

/** Steps that are written out: each is a dozen nodes, more than this is better trained as a transformer. */
export const STEPS_MAX = 1_024;

/** The operands of a recurrent node, sequence first. */
interface Recurrent {
  readonly node: ImportedNode;
  readonly cell: Cell;
  /** [steps, batch, inputs] */
  readonly x: Value;
  readonly steps: number;
  readonly hidden: number;
}

/**
 * The outputs of a recurrent node, written out; undefined for any other node.
 *
 * @throws GraphError when the number of steps is not known or above {@link STEPS_MAX}, or for activations not known here
 */
export function unrolled(graph: Graph, node: ImportedNode): Value[] | undefined {
  const cell = node.domain === "" ? CELLS[node.opType] : undefined;
  const [given, , r] = node.inputs;
  if (cell === undefined || given === undefined || r === undefined) return undefined;
  const batchFirst = intAttribute(node, "layout", 0) === 1;
  const x = batchFirst ? transpose(graph, given, [1, 0, 2]) : given;
  const [steps] = x.shape;
  const hidden = r.shape[2];
  if (typeof steps !== "number" || typeof hidden !== "number") throw new GraphError(`${operatorKey(node)} is trained by writing it out in time, and the number of steps is not known: give the sequence's dimension a size`);
  if (steps > STEPS_MAX) throw new GraphError(`${operatorKey(node)} over ${steps} steps: at most ${STEPS_MAX} are written out`);
  const directions = directionsOf(node).map((backward, index) => direction(graph, { node, cell, x, steps, hidden }, index, backward, batchFirst));
  const states = directions.map(({ state }) => state);
  const y = concat(graph, directions.map(({ outputs }) => unsqueeze(graph, concat(graph, outputs.map((each) => unsqueeze(graph, each, [0])), 0), [1])), 1); // [steps, directions, batch, hidden]
  const last = (values: readonly Value[]): Value => concat(graph, values.map((value) => unsqueeze(graph, value, [0])), 0); // [directions, batch, hidden]
  const finals = [last(states.map(({ h }) => h)), ...(cell.hasCellState ? [last(states.map(({ c }) => c as Value))] : [])];
  return batchFirst ? [transpose(graph, y, [2, 0, 1, 3]), ...finals.map((value) => transpose(graph, value, [1, 0, 2]))] : [y, ...finals];
}

/** For each direction whether it runs backward. */
function directionsOf(node: ImportedNode): boolean[] {
  const direction = textAttributeOf(node);
  return direction === "bidirectional" ? [false, true] : [direction === "reverse"];
}

function textAttributeOf(node: ImportedNode): string {
  const value = node.attributes["direction"];
  return typeof value === "string" ? value : "forward";
}

function direction(graph: Graph, { node, cell, x, steps, hidden }: Recurrent, index: number, backward: boolean, batchFirst: boolean): { outputs: Value[]; state: CellState } {
  const [, w, r, b, lengths, h0, c0, peepholes] = node.inputs;
  const own = (value: Value | undefined, axis = 0): Value | undefined => value && gather(graph, value, graph.constant("INT64", [], [BigInt(index)]), axis);
  const weights = { w: transpose(graph, own(w) as Value), r: transpose(graph, own(r) as Value), peepholes: own(peepholes) };
  const bias = own(b);
  const [inputBias, recurrentBias] = bias === undefined ? [] : split(graph, bias, [cell.gates * hidden, cell.gates * hidden]);
  const start = (value: Value | undefined): Value => own(value, batchFirst ? 1 : 0) ?? zeros(graph, x, hidden);
  const projected = matMul(graph, x, weights.w); // [steps, batch, gates·hidden]
  const rows = split(graph, inputBias === undefined ? projected : add(graph, projected, inputBias), Array.from({ length: steps }, () => 1)).map((row) => op(graph, "Squeeze", [row, graph.constant("INT64", [1], [0n])]));
  const activations = activationsOf(graph, node, textsAttribute(node, "activations"), cell.activations, index);
  const clip = "clip" in node.attributes ? floatAttribute(node, "clip", 0) : undefined;
  let state: CellState = { h: start(h0), ...(cell.hasCellState ? { c: start(c0) } : {}) };
  const outputs: Value[] = new Array<Value>(steps);
  for (let step = 0; step < steps; step++) {
    const at = backward ? steps - 1 - step : step;
    const next = cell.step(graph, { node, row: rows[at] as Value, recurrent: weights.r, recurrentBias, peepholes: weights.peepholes, hidden, activations, clip }, state);
    // Beyond the length of its sequence an element of the batch keeps its state and gives zeros.
    const going = lengths && reshape(graph, greater(graph, lengths, graph.constant(lengths.datatype, [], [lengths.datatype === "INT64" ? BigInt(at) : at])), [...lengths.shape, 1]);
    const kept = (value: Value, before: Value): Value => (going === undefined ? value : where(graph, going, value, before));
    outputs[at] = going === undefined ? next.h : where(graph, going, next.h, graph.constant(next.h.datatype, [], [0]));
    state = { h: kept(next.h, state.h), ...(next.c === undefined ? {} : { c: kept(next.c, state.c as Value) }) };
  }
  return { outputs, state };
}

/** [batch, hidden] of zeros. */
function zeros(graph: Graph, x: Value, hidden: number): Value {
  const [, batch] = x.shape;
  const zero = graph.constant(x.datatype, [], [0]);
  const sizes = typeof batch === "number" ? graph.constant("INT64", [2], [BigInt(batch), BigInt(hidden)]) : concat(graph, [shapeOf(graph, x, 1, 2), graph.constant("INT64", [1], [BigInt(hidden)])], 0);
  return op(graph, "Expand", [zero, sizes]);
}
