// Exporters compute shapes by nodes: Shape → Gather → Concat → Reshape. Following the elements of such small integer tensors,
// as numbers or as names of sizes, tells what a Reshape makes before anything runs. What cannot be followed is unknown,
// never wrong.

import { elementsOf } from "@servable/tensor";
import { intAttribute, intsAttribute, tensorAttribute } from "../attributes.ts";
import type { Dimension, Graph, GraphNode, Value } from "../graph.ts";
import { sliceRange } from "./shape-ops.ts";

/** Larger tensors are no shapes. */
const ELEMENTS_FOLLOWED_MAX = 64;

/** Elements of small integer tensors, as far as they are known. */
export interface Contents {
  of(value: Value | undefined): readonly Dimension[] | undefined;
  /** Notes what the outputs of a node hold. */
  follow(node: GraphNode): void;
}

const FOLLOWED = new WeakMap<Graph, Contents>();

/** The integers of a graph, followed from its first node on that was made by inference. */
export function contentsIn(graph: Graph): Contents {
  const before = FOLLOWED.get(graph);
  if (before !== undefined) return before;
  const contents = followContents(graph);
  FOLLOWED.set(graph, contents);
  return contents;
}

function followContents(graph: Graph): Contents {
  const known = new Map<Value, readonly Dimension[]>();
  const of = (value: Value | undefined): readonly Dimension[] | undefined => {
    if (value === undefined) return undefined;
    const before = known.get(value);
    if (before !== undefined) return before;
    const tensor = graph.initializers.get(value.name)?.tensor;
    if (tensor === undefined || (tensor.datatype !== "INT64" && tensor.datatype !== "INT32") || tensor.shape.reduce((product, size) => product * size, 1) > ELEMENTS_FOLLOWED_MAX) return undefined;
    const numbers = elementsOf(tensor).map(Number);
    known.set(value, numbers);
    return numbers;
  };
  return {
    of,
    follow: (node) => {
      const [output] = node.outputs;
      if (output === undefined || (output.datatype !== "INT64" && output.datatype !== "INT32")) return;
      const contents = contentsOf(node, of);
      if (contents !== undefined && contents.length <= ELEMENTS_FOLLOWED_MAX) known.set(output, contents);
    },
  };
}

type Known = (value: Value | undefined) => readonly Dimension[] | undefined;

function contentsOf(node: GraphNode, of: Known): readonly Dimension[] | undefined {
  const [x, second] = node.inputs;
  const first = of(x);
  switch (node.opType) {
    case "Shape":
      return x && sliceRange(x.shape.length, intAttribute(node, "start", 0), intAttribute(node, "end", x.shape.length), 1).map((axis) => x.shape[axis] ?? 1);
    case "Identity":
    case "Squeeze":
    case "Unsqueeze":
    case "Reshape":
    case "Flatten":
      return first;
    case "Cast":
      return x?.datatype === "INT64" || x?.datatype === "INT32" ? first : undefined;
    case "Gather": {
      const indices = of(second);
      if (x?.shape.length !== 1 || first === undefined || indices === undefined || !indices.every((index) => typeof index === "number")) return undefined;
      return indices.map((index) => first[index < 0 ? index + first.length : index] ?? -1);
    }
    case "Concat": {
      const parts = node.inputs.map(of);
      return node.outputs[0]?.shape.length === 1 && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    case "Slice":
      return first === undefined || x === undefined ? undefined : sliced(node, first, x, of);
    case "Transpose":
      return first === undefined || x === undefined ? undefined : transposed(node, first, x);
    case "ConstantOfShape": {
      const sizes = of(x);
      const count = sizes?.reduce<number | undefined>((product, size) => (product === undefined || typeof size !== "number" ? undefined : product * size), 1);
      const value = tensorAttribute(node, "value");
      return count === undefined || count > ELEMENTS_FOLLOWED_MAX ? undefined : Array.from({ length: count }, () => (value === undefined ? 0 : Number(elementsOf(value)[0])));
    }
    case "Add":
      return arithmetic(first, of(second), (a, b) => a + b);
    case "Sub":
      return arithmetic(first, of(second), (a, b) => a - b);
    case "Mul":
      return arithmetic(first, of(second), (a, b) => a * b);
    case "Div":
      return arithmetic(first, of(second), (a, b) => Math.trunc(a / b));
    // The sign is the divisor's, except for fmod.
    case "Mod":
      return arithmetic(first, of(second), (a, b) => (intAttribute(node, "fmod", 0) === 1 ? a % b : ((a % b) + b) % b));
    case "Max":
      return arithmetic(first, of(second), Math.max);
    case "Min":
      return arithmetic(first, of(second), Math.min);
    case "Neg":
      return arithmetic([0], first, (a, b) => a - b);
    case "Size":
      return x?.shape.every((size) => typeof size === "number") === true ? [x.shape.reduce<number>((product, size) => product * Number(size), 1)] : undefined;
    case "Range":
      return ranged(first, of(second), of(node.inputs[2]));
    default:
      return undefined;
  }
}

function arithmetic(a: readonly Dimension[] | undefined, b: readonly Dimension[] | undefined, apply: (a: number, b: number) => number): readonly number[] | undefined {
  if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1)) return undefined;
  const results = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => [a[a.length === 1 ? 0 : index], b[b.length === 1 ? 0 : index]] as const);
  return results.every(([left, right]) => typeof left === "number" && typeof right === "number") ? results.map(([left, right]) => apply(left as number, right as number)) : undefined;
}

function ranged(...bounds: readonly (readonly Dimension[] | undefined)[]): readonly number[] | undefined {
  const [start, limit, delta] = bounds.map((bound) => bound?.[0]);
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number" || delta === 0) return undefined;
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return count > ELEMENTS_FOLLOWED_MAX ? undefined : Array.from({ length: count }, (_, index) => start + index * delta);
}

/** A slice along one axis of a tensor whose sizes are known. */
function sliced(node: GraphNode, elements: readonly Dimension[], x: Value, of: Known): readonly Dimension[] | undefined {
  const [starts, ends, axes, steps] = [of(node.inputs[1]), of(node.inputs[2]), node.inputs[3] === undefined ? [0] : of(node.inputs[3]), node.inputs[4] === undefined ? [1] : of(node.inputs[4])];
  const [start, end, axis, step] = [starts, ends, axes, steps].map((list) => (list?.length === 1 ? list[0] : undefined));
  if (typeof start !== "number" || typeof end !== "number" || typeof axis !== "number" || typeof step !== "number") return undefined;
  const sizes = x.shape.filter((size) => typeof size === "number");
  const at = axis < 0 ? axis + sizes.length : axis;
  const size = sizes[at];
  if (sizes.length !== x.shape.length || size === undefined) return undefined;
  const inner = sizes.slice(at + 1).reduce((product, each) => product * each, 1);
  const outer = sizes.slice(0, at).reduce((product, each) => product * each, 1);
  const taken = sliceRange(size, start, end, step);
  return Array.from({ length: outer }, (_, block) => taken.flatMap((index) => elements.slice((block * size + index) * inner, (block * size + index + 1) * inner))).flat();
}

function transposed(node: GraphNode, elements: readonly Dimension[], x: Value): readonly Dimension[] | undefined {
  const [rows, columns] = x.shape;
  const perm = intsAttribute(node, "perm") ?? [1, 0];
  if (x.shape.length !== 2 || typeof rows !== "number" || typeof columns !== "number" || perm[0] !== 1) return undefined;
  return Array.from({ length: columns }, (_, column) => Array.from({ length: rows }, (_, row) => elements[row * columns + column] ?? -1)).flat();
}
