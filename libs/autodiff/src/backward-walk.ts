// The walk from the loss to what it depends on: one local rule for each operator, gradients of values that several nodes use
// added up. `gradients` and `parameterGradients` differ in what they make of tables only.

import { isFloat } from "@servable/tensor";
import { Graph, GraphError, add, type GraphNode, type Value } from "@servable/onnx";
import { noRule } from "./no-rule.ts";
import { MULTIPLE_OUTPUTS, RULES } from "./rules/index.ts";
import type { RuleContext } from "./rules/rule.ts";

/** Rows of a table that a Gather picked, and what the loss wants of them. */
export interface PickedRows {
  /** What the Gather got: any shape, INT32 or INT64, may be negative. */
  readonly indices: Value;
  /** [...indices' shape, ...a row's shape] */
  readonly upstream: Value;
}

/** How gradients are written. */
export interface GradientOptions {
  /** Whether operators of onnxruntime's own (com.microsoft) may be used: false for graphs that other runtimes are to run. @default true */
  readonly contrib?: boolean;
}

/** What the walk found. */
export interface Collected {
  /** Gradients by value; a value that the loss does not depend on is missing. */
  readonly gradients: ReadonlyMap<Value, Value>;
  /** For each table of `tables`: every place that picked rows of it, last use first. */
  readonly picked: ReadonlyMap<Value, readonly PickedRows[]>;
}

/**
 * Walks from `loss` back to `wrt`. Gathers of `tables` get no gradient node; what would have been added up is listed instead.
 *
 * @throws GraphError when `loss` is no single real number, a value is not real, or an operator on the way has no rule
 */
export function walkBackward(graph: Graph, loss: Value, wrt: readonly Value[], { contrib = true, tables = new Set() }: GradientOptions & { readonly tables?: ReadonlySet<Value> } = {}): Collected {
  check(loss, wrt);
  const nodes = [...graph.nodes];
  const wanted = dependents(nodes, wrt);
  const collected = new Map<Value, Value>([[loss, graph.constant(loss.datatype, loss.shape.map(() => 1), [1])]]);
  const picked = new Map<Value, PickedRows[]>();
  for (const node of nodes.reverse()) {
    const upstreams = node.outputs.map((output) => (output !== undefined && wanted.has(output) ? collected.get(output) : undefined));
    if (upstreams.every((upstream) => upstream === undefined)) continue;
    const [table, indices] = node.inputs;
    const [upstream] = upstreams;
    if (table !== undefined && indices !== undefined && upstream !== undefined && tables.has(table)) {
      picked.set(table, [...(picked.get(table) ?? []), { indices, upstream }]);
      continue;
    }
    const needed = node.inputs.map((input) => input !== undefined && wanted.has(input));
    inputGradients({ graph, node, upstreams, needed, contrib }).forEach((gradient, index) => {
      const input = node.inputs[index];
      if (gradient === undefined || input === undefined || needed[index] !== true) return;
      const before = collected.get(input);
      collected.set(input, before === undefined ? gradient : add(graph, before, gradient));
    });
  }
  return { gradients: collected, picked };
}

/** Values that depend on any of `wrt`, those included: nodes stand in order of computation. */
export function dependents(nodes: readonly GraphNode[], wrt: readonly Value[]): Set<Value> {
  const found = new Set(wrt);
  for (const { opType, inputs, outputs } of nodes) {
    if (!inputs.some((input) => input !== undefined && found.has(input))) continue;
    // Quantized values are whole numbers, and yet the straight-through estimator leads through them.
    for (const output of outputs) if (output !== undefined && (isFloat(output.datatype) || opType === "QuantizeLinear")) found.add(output);
  }
  return found;
}

function check(loss: Value, wrt: readonly Value[]): void {
  if (loss.shape.some((dimension) => dimension !== 1)) throw new GraphError(`the loss "${loss.name}" has shape [${loss.shape.join()}], one element is needed: reduce it by a sum or a mean`);
  if (!isFloat(loss.datatype)) throw new GraphError(`the loss "${loss.name}" is ${loss.datatype}, real numbers are needed`);
  const whole = wrt.find(({ datatype }) => !isFloat(datatype));
  if (whole !== undefined) throw new GraphError(`"${whole.name}" is ${whole.datatype}: only real numbers have a gradient`);
}

function inputGradients(step: Omit<RuleContext, "upstream">): (Value | undefined)[] {
  const { node, upstreams } = step;
  const operator = node.domain === "" || node.domain === "ai.onnx" ? node.opType : `${node.domain}::${node.opType}`;
  const where = node.outputs.find((output) => output !== undefined)?.name ?? "";
  const rule = RULES[operator];
  if (rule === undefined) throw noRule(operator, where);
  const single = !MULTIPLE_OUTPUTS.has(operator);
  const [upstream] = single ? upstreams : upstreams.filter((each) => each !== undefined);
  if (upstream === undefined || (single && upstreams.slice(1).some((each) => each !== undefined))) throw new GraphError(`${operator} ("${where}") has a gradient rule for its first output only, and the loss depends on another one`);
  try {
    return rule({ ...step, upstream });
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${operator} ("${where}"): ${error.message}`, { cause: error });
    throw error;
  }
}
