// Recurrent layers by unrolling: each step is a few nodes, so gradients need no rule for a loop. Where the length varies, in a
// graph that is served, the operator of ONNX takes the same parameters.

import { GraphError, add, concat, gemm, mul, sigmoid, sub, tanh, type Value } from "@servable/onnx";
import { uniform } from "../initializers.ts";
import { scalar, sizeOf, slice, splitLast, squeeze, stacked, unsqueeze } from "../nodes.ts";
import type { Scope } from "../scope.ts";

/** What a recurrent layer gives. */
export interface RecurrentOutput {
  /** [batch, sequence, hidden] */
  readonly sequence: Value;
  /** Of the last step: [batch, hidden]. */
  readonly hidden: Value;
}

interface Parameters {
  readonly inputWeight: Value;
  readonly hiddenWeight: Value;
  readonly inputBias: Value;
  readonly hiddenBias: Value;
}

/**
 * One layer of long short-term memory, beginning with zeros. x: [batch, sequence, inputs].
 *
 * Parameters as torch.nn.LSTM of one layer: weight_ih_l0 [4·hidden, inputs], weight_hh_l0 [4·hidden, hidden], bias_ih_l0,
 * bias_hh_l0 [4·hidden], gates in the order input, forget, cell, output. Source: Hochreiter & Schmidhuber (1997), with the
 * forget gate of Gers, Schmidhuber & Cummins (2000).
 */
export function lstm(nn: Scope, x: Value, hidden: number): RecurrentOutput {
  const { graph } = nn;
  const parameters = parametersOf(nn, x, hidden, 4);
  if (typeof x.shape[1] !== "number") return byOperator(nn, "LSTM", x, hidden, parameters, [0, 3, 1, 2]);
  let cell: Value | undefined;
  return unrolled(nn, x, hidden, 4, parameters, (inputs, hiddens) => {
    const [input, forget, candidate, output] = splitLast(graph, hiddens === undefined ? add(graph, inputs, parameters.hiddenBias) : add(graph, inputs, hiddens), 4) as [Value, Value, Value, Value];
    const fresh = mul(graph, sigmoid(graph, input), tanh(graph, candidate));
    cell = cell === undefined ? fresh : add(graph, mul(graph, sigmoid(graph, forget), cell), fresh);
    return mul(graph, sigmoid(graph, output), tanh(graph, cell));
  });
}

/**
 * One layer of gated recurrent units, beginning with zeros. x: [batch, sequence, inputs].
 *
 * Parameters as torch.nn.GRU of one layer: weight_ih_l0 [3·hidden, inputs], weight_hh_l0 [3·hidden, hidden], bias_ih_l0,
 * bias_hh_l0 [3·hidden], gates in the order reset, update, new. Source: Cho et al. (2014), the reset after the product.
 */
export function gru(nn: Scope, x: Value, hidden: number): RecurrentOutput {
  const { graph } = nn;
  const parameters = parametersOf(nn, x, hidden, 3);
  if (typeof x.shape[1] !== "number") return byOperator(nn, "GRU", x, hidden, parameters, [1, 0, 2]);
  let state: Value | undefined;
  return unrolled(nn, x, hidden, 3, parameters, (inputs, hiddens) => {
    const [reset, update, candidate] = splitLast(graph, inputs, 3) as [Value, Value, Value];
    const [resetHidden, updateHidden, candidateHidden] = (hiddens === undefined ? parts(nn, parameters.hiddenBias, hidden, 3) : splitLast(graph, hiddens, 3)) as [Value, Value, Value];
    const open = sigmoid(graph, add(graph, reset, resetHidden));
    const keep = sigmoid(graph, add(graph, update, updateHidden));
    const next = tanh(graph, add(graph, candidate, mul(graph, open, candidateHidden)));
    const moved = mul(graph, sub(graph, scalar(graph, 1), keep), next);
    state = state === undefined ? moved : add(graph, moved, mul(graph, keep, state));
    return state;
  });
}

function parametersOf(nn: Scope, x: Value, hidden: number, gates: number): Parameters {
  const initialize = uniform(1 / Math.sqrt(hidden));
  return {
    inputWeight: nn.parameter("weight_ih_l0", [gates * hidden, sizeOf(x, -1)], initialize),
    hiddenWeight: nn.parameter("weight_hh_l0", [gates * hidden, hidden], initialize),
    inputBias: nn.parameter("bias_ih_l0", [gates * hidden], initialize),
    hiddenBias: nn.parameter("bias_hh_l0", [gates * hidden], initialize),
  };
}

/** The steps one after the other; `step` gets both affine parts of the gates, the hidden one only from the second step on. */
function unrolled(nn: Scope, x: Value, hidden: number, gates: number, parameters: Parameters, step: (inputs: Value, hiddens: Value | undefined) => Value): RecurrentOutput {
  const { graph } = nn;
  const length = sizeOf(x, 1);
  if (length < 1) throw new GraphError("a recurrent layer needs a sequence of at least one step");
  // The product with the inputs is one for all steps: [batch·sequence, gates·hidden].
  const all = gemm(graph, stacked(graph, x), parameters.inputWeight, { c: parameters.inputBias, transB: true });
  const shape = [x.shape[0] ?? 1, length, gates * hidden];
  const perStep = graph.node("Reshape", [all, graph.constant("INT64", [3], [typeof x.shape[0] === "number" ? BigInt(x.shape[0]) : -1n, BigInt(length), BigInt(gates * hidden)])], { datatype: x.datatype, shape });
  const states: Value[] = [];
  for (let at = 0; at < length; at++) {
    const before = states.at(-1);
    const hiddens = before && gemm(graph, before, parameters.hiddenWeight, { c: parameters.hiddenBias, transB: true });
    states.push(step(squeeze(graph, slice(graph, perStep, 1, at, at + 1), 1), hiddens));
  }
  const sequence = concat(graph, states.map((state) => unsqueeze(graph, state, [1])), 1);
  return { sequence, hidden: states.at(-1) as Value };
}

/** The same by one node; `order` says which of our gates stands where in ONNX's. */
function byOperator({ graph }: Scope, opType: "LSTM" | "GRU", x: Value, hidden: number, parameters: Parameters, order: readonly number[]): RecurrentOutput {
  const rows = graph.constant("INT64", [order.length * hidden], order.flatMap((gate) => Array.from({ length: hidden }, (_, row) => BigInt(gate * hidden + row))));
  const sorted = (value: Value): Value => graph.node("Gather", [value, rows], { datatype: value.datatype, shape: value.shape }, { axis: 0 });
  const [weight, recurrent] = [parameters.inputWeight, parameters.hiddenWeight].map((value) => unsqueeze(graph, sorted(value), [0]));
  const bias = unsqueeze(graph, concat(graph, [sorted(parameters.inputBias), sorted(parameters.hiddenBias)], 0), [0]);
  const [batch = 1, length = 1, inputs = 1] = x.shape;
  const timeFirst = graph.node("Transpose", [x], { datatype: x.datatype, shape: [length, batch, inputs] }, { perm: [1, 0, 2] });
  const attributes = { hidden_size: hidden, ...(opType === "GRU" ? { linear_before_reset: 1 } : {}) };
  const [all, last] = graph.nodeOf(opType, [timeFirst, weight, recurrent, bias], [{ datatype: x.datatype, shape: [length, 1, batch, hidden] }, { datatype: x.datatype, shape: [1, batch, hidden] }], attributes) as [Value, Value];
  const sequence = graph.node("Transpose", [squeeze(graph, all, 1)], { datatype: x.datatype, shape: [batch, length, hidden] }, { perm: [1, 0, 2] });
  return { sequence, hidden: squeeze(graph, last, 0) };
}

/** A vector of all gates as one vector each. */
const parts = ({ graph }: Scope, vector: Value, hidden: number, gates: number): Value[] => Array.from({ length: gates }, (_, gate) => slice(graph, vector, 0, gate * hidden, (gate + 1) * hidden));
