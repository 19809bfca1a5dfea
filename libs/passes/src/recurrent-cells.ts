// One step of each recurrent operator. X·Wᵀ with its bias is given; H is the state before. Source: ONNX operators.

import { GraphError, add, clip as clipped, floatsAttribute, intAttribute, matMul, mul, op, scalar, slice, split, sub, type Graph, type ImportedNode, type Value } from "@servable/onnx";

/** State of a cell: [batch, hidden] each. */
export interface CellState {
  readonly h: Value;
  /** Of an LSTM only. */
  readonly c?: Value;
}

/** One activation of a gate. */
export type GateActivation = (x: Value) => Value;

/** What a step works with. */
export interface CellInput {
  readonly node: ImportedNode;
  /** X·Wᵀ + Wb of the step: [batch, gates·hidden] */
  readonly row: Value;
  /** Rᵀ: [hidden, gates·hidden] */
  readonly recurrent: Value;
  /** Rb: [gates·hidden] */
  readonly recurrentBias: Value | undefined;
  /** [3·hidden], of an LSTM that looks at its cell state */
  readonly peepholes: Value | undefined;
  readonly hidden: number;
  readonly activations: readonly GateActivation[];
  /** Bound of what activations see. */
  readonly clip: number | undefined;
}

/** A recurrent operator. */
export interface Cell {
  readonly gates: number;
  readonly hasCellState: boolean;
  /** Those that hold where the node names none. */
  readonly activations: readonly string[];
  step(graph: Graph, input: CellInput, state: CellState): CellState;
}

const plus = (graph: Graph, a: Value, b: Value | undefined): Value => (b === undefined ? a : add(graph, a, b));
const bounded = (graph: Graph, x: Value, bound: number | undefined): Value => (bound === undefined ? x : clipped(graph, x, -bound, bound));
const even = (count: number, size: number): number[] => Array.from({ length: count }, () => size);

/** The recurrent operators by name. */
export const CELLS: Readonly<Record<string, Cell>> = {
  /** H' = f(X·Wᵀ + H·Rᵀ + b) */
  RNN: {
    gates: 1,
    hasCellState: false,
    activations: ["Tanh"],
    step: (graph, { row, recurrent, recurrentBias, activations: [f], clip }, { h }) => ({ h: (f as GateActivation)(bounded(graph, plus(graph, add(graph, row, matMul(graph, h, recurrent)), recurrentBias), clip)) }),
  },
  /** z, r = f(…); h̃ = g(X·Wᵀ + (r∘H)·Rᵀ + b), or r∘(H·Rᵀ + Rb) when linear_before_reset; H' = (1-z)∘h̃ + z∘H */
  GRU: {
    gates: 3,
    hasCellState: false,
    activations: ["Sigmoid", "Tanh"],
    step: (graph, { node, row, recurrent, recurrentBias, hidden, activations: [f, g], clip }, { h }) => {
      const [gate, candidate] = [f as GateActivation, g as GateActivation];
      const [xz, xr, xh] = split(graph, row, even(3, hidden), 1) as [Value, Value, Value];
      const [bz, br, bh] = recurrentBias === undefined ? [] : split(graph, recurrentBias, even(3, hidden));
      const late = intAttribute(node, "linear_before_reset", 0) !== 0;
      const all = late ? split(graph, matMul(graph, h, recurrent), even(3, hidden), 1) : split(graph, matMul(graph, h, slice(graph, recurrent, [{ axis: 1, start: 0, end: 2 * hidden }])), even(2, hidden), 1);
      const [hz, hr] = all as [Value, Value];
      const z = gate(bounded(graph, plus(graph, add(graph, xz, hz), bz), clip));
      const r = gate(bounded(graph, plus(graph, add(graph, xr, hr), br), clip));
      const reset = late ? mul(graph, r, plus(graph, all[2] as Value, bh)) : plus(graph, matMul(graph, mul(graph, r, h), slice(graph, recurrent, [{ axis: 1, start: 2 * hidden }])), bh);
      const fresh = candidate(bounded(graph, add(graph, xh, reset), clip));
      return { h: add(graph, mul(graph, sub(graph, scalar(graph, z, 1), z), fresh), mul(graph, z, h)) };
    },
  },
  /** i, f, o = f(…); C' = f∘C + i∘g(…); H' = o∘h(C'). With peepholes gates see the cell state too. */
  LSTM: {
    gates: 4,
    hasCellState: true,
    activations: ["Sigmoid", "Tanh", "Tanh"],
    step: (graph, { node, row, recurrent, recurrentBias, peepholes, hidden, activations: [f, g, hidden2], clip }, { h, c }) => {
      const [gate, candidate, squash] = [f as GateActivation, g as GateActivation, hidden2 as GateActivation];
      const before = c as Value;
      const all = plus(graph, add(graph, row, matMul(graph, h, recurrent)), recurrentBias);
      const [xi, xo, xf, xc] = split(graph, all, even(4, hidden), 1) as [Value, Value, Value, Value];
      const [pi, po, pf] = peepholes === undefined ? [] : split(graph, peepholes, even(3, hidden));
      const seen = (x: Value, weight: Value | undefined, cell: Value): Value => bounded(graph, weight === undefined ? x : add(graph, x, mul(graph, weight, cell)), clip);
      const i = gate(seen(xi, pi, before));
      const forget = intAttribute(node, "input_forget", 0) === 1 ? sub(graph, scalar(graph, i, 1), i) : gate(seen(xf, pf, before));
      const next = add(graph, mul(graph, forget, before), mul(graph, i, candidate(bounded(graph, xc, clip))));
      return { h: mul(graph, gate(seen(xo, po, next)), squash(next)), c: next };
    },
  },
};

const PLAIN: ReadonlySet<string> = new Set(["Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", "LeakyRelu", "HardSigmoid", "Elu", "ThresholdedRelu"]);

/** The activations of one direction. @throws GraphError for one that is not known here, or that has numbers of its own */
export function activationsOf(graph: Graph, node: ImportedNode, stated: readonly string[] | undefined, fallback: readonly string[], index: number): GateActivation[] {
  const names = stated === undefined || stated.length === 0 ? fallback : stated.slice(index * fallback.length, (index + 1) * fallback.length);
  if (floatsAttribute(node, "activation_alpha") !== undefined || floatsAttribute(node, "activation_beta") !== undefined) throw new GraphError(`${node.opType} with activation_alpha or activation_beta is not supported in training`);
  return names.map((name) => {
    const opType = [...PLAIN].find((known) => known.toLowerCase() === name.toLowerCase());
    if (opType === undefined) throw new GraphError(`${node.opType} with the activation ${name} is not supported in training; supported are ${[...PLAIN].join(", ")}`);
    return (x) => op(graph, opType, [x]);
  });
}
