// Gradients as a trainer wants them. A table of embeddings is large and a step touches few rows of it: a dense gradient would be
// zeros almost everywhere, made, copied out of the graph and added at each step (31 MB for 30,522 × 256). So where a parameter
// is nothing but a table, its gradient leaves the graph as the rows that were picked, and whoever holds the table adds them up.

import { ELEMENT_TYPES, GraphError, add, cast, mul, type Dimension, type Graph, type GraphNode, type Value } from "@servable/onnx";
import { intAttribute } from "@servable/onnx";
import { walkBackward, type GradientOptions, type PickedRows } from "./backward-walk.ts";
import { ints, reshapeTo, zerosLike } from "./rules/rule.ts";

/** A gradient with the shape and datatype of its parameter. */
export interface DenseGradient {
  readonly kind: "dense";
  readonly value: Value;
}

/** The gradient of a table [n, …] as rows: it is zeros, plus `rows[i]` added at `indices[i]` for each i. Indices repeat. */
export interface RowGradient {
  readonly kind: "rows";
  /** [k] INT32, each from 0 to below n: negative indices of the graph have been counted from the end. */
  readonly indices: Value;
  /** [k, …], one for each index. */
  readonly rows: Value;
}

/**
 * Tables of fewer rows get dense gradients: a product with one-hot indices is cheaper than to copy a row for each index out of
 * the graph (2·n·k·d operations at 80 GFLOP/s against 4·k·d bytes copied and added at about 0.2 ns each).
 */
const TABLE_ROWS_MIN = 32;

/**
 * Adds to the graph the gradient of `loss` with respect to each of `parameters`: see `gradients`, of which this is the form for
 * training. A parameter that is only used as a table, by Gather over its first axis, gets a {@link RowGradient}; one that is also
 * used otherwise, e.g. tied to the output projection, a dense one.
 *
 * @throws GraphError as `gradients` does
 * @example const [dTable] = parameterGradients(graph, loss, [table]); // { kind: "rows", indices: [k], rows: [k, d] }
 */
export function parameterGradients(graph: Graph, loss: Value, parameters: readonly Value[], options: GradientOptions = {}): (DenseGradient | RowGradient)[] {
  const nodes = ancestors(graph.nodes, loss);
  const tables = new Set(parameters.filter((parameter) => parameter !== loss && isTable(parameter, nodes)));
  const { gradients, picked } = walkBackward(graph, loss, parameters, { ...options, tables });
  return parameters.map((parameter) => {
    const uses = picked.get(parameter);
    if (uses !== undefined) return rowGradient(graph, parameter, uses);
    return { kind: "dense", value: gradients.get(parameter) ?? zerosLike(graph, parameter) };
  });
}

/** Nodes that the loss depends on. */
function ancestors(nodes: readonly GraphNode[], loss: Value): GraphNode[] {
  const needed = new Set<Value>([loss]);
  return [...nodes].reverse().filter(({ inputs, outputs }) => {
    if (!outputs.some((output) => output !== undefined && needed.has(output))) return false;
    for (const input of inputs) if (input !== undefined) needed.add(input);
    return true;
  });
}

/** Whether every use of a parameter is a Gather over its first axis. */
function isTable(parameter: Value, nodes: readonly GraphNode[]): boolean {
  const [rows] = parameter.shape;
  if (typeof rows !== "number" || rows < TABLE_ROWS_MIN) return false;
  const uses = nodes.filter(({ inputs }) => inputs.includes(parameter));
  return uses.length > 0 && uses.every((node) => node.opType === "Gather" && node.domain === "" && node.inputs[0] === parameter && [0, -parameter.shape.length].includes(intAttribute(node, "axis", 0)));
}

function rowGradient(graph: Graph, table: Value, uses: readonly PickedRows[]): RowGradient {
  const [size, ...row] = table.shape;
  if (row.some((each) => typeof each === "string")) throw new GraphError(`the table "${table.name}" has rows of a size that varies`);
  const rowSizes = row as number[];
  const counts = uses.map(({ indices }) => (indices.shape.every((each) => typeof each === "number") ? indices.shape.reduce<number>((product, each) => product * Number(each), 1) : undefined));
  const lengthOf = (at: number): Dimension => counts[at] ?? `?picked${at}`;
  const flatIndices = uses.map(({ indices }, at) => {
    const narrow = indices.datatype === "INT32" ? indices : cast(graph, indices, "INT32", ELEMENT_TYPES.INT32);
    const flat = indices.shape.length === 1 ? narrow : reshapeTo(graph, narrow, ints(graph, [-1]), [lengthOf(at)]);
    const negative = cast(graph, graph.node("Less", [flat, graph.constant("INT32", [], [0])], { datatype: "BOOL", shape: flat.shape }), "INT32", ELEMENT_TYPES.INT32);
    return add(graph, flat, mul(graph, negative, graph.constant("INT32", [], [Number(size)])));
  });
  const flatRows = uses.map(({ indices, upstream }, at) => (indices.shape.length === 1 ? upstream : reshapeTo(graph, upstream, ints(graph, [-1, ...rowSizes]), [lengthOf(at), ...row])));
  const total = counts.every((count) => count !== undefined) ? counts.reduce((sum, count) => sum + count, 0) : "?picked";
  return { kind: "rows", indices: joined(graph, flatIndices, [total]), rows: joined(graph, flatRows, [total, ...row]) };
}

function joined(graph: Graph, parts: readonly Value[], shape: readonly Dimension[]): Value {
  const [first] = parts;
  if (first === undefined) throw new GraphError("no rows were picked");
  return parts.length === 1 ? first : graph.node("Concat", parts, { datatype: first.datatype, shape }, { axis: 0 });
}
