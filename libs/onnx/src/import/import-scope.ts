import type { Tensor } from "@servable/tensor";
import { GraphError } from "../graph-error.ts";
import type { Attribute, Graph, Value } from "../graph.ts";
import type { FunctionProto } from "../gen/onnx/onnx_pb.js";
import type { NodeDraft } from "../infer/infer-types.ts";

/** A node of the file on its way into the graph: its operands are values already, its form is our opset's. */
export interface ImportedNode extends NodeDraft {
  /** "" where the file gives none. */
  readonly name: string;
  /** What the file calls its outputs; "" = left out. */
  readonly outputNames: readonly string[];
}

/** Puts other nodes in the place of one: answers what stands for its outputs, undefined to keep the node. */
export type Rewrite = (node: ImportedNode, graph: Graph) => readonly (Value | undefined)[] | undefined;

/** Names of values that nodes can see while a graph, the body of one or a function is taken in. */
export interface ImportScope {
  readonly graph: Graph;
  readonly values: Map<string, Value>;
  /** Lists of values by name, see sequences.ts. */
  readonly sequences: Map<string, readonly Value[]>;
  /** What a body sees besides its own. */
  readonly outer?: ImportScope;
  /** Opset of the default domain; a function has its own. */
  readonly opset: number;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  /** Attributes that the call of a function gave, for those in its body that refer to them. */
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly rewrite: Rewrite | undefined;
  /** Values that stand for constants of the model; bodies and functions keep theirs. */
  readonly weights?: ((name: string, tensor: Tensor) => Value | undefined) | undefined;
  /** Parameters of a function that its call leaves out: left out wherever the body hands them on. */
  readonly leftOut?: ReadonlySet<string>;
  /** What nodes see instead of a value. */
  readonly see: (name: string, value: Value) => Value;
  /** How deep functions and bodies are nested. */
  readonly depth: number;
  /** Counts functions and bodies that were written out, of all scopes together: empty ones add no nodes, but take time. */
  readonly written: { bodies: number };
}

/** Nodes that calls of functions and unrolled loops may become; each may double at every level. */
export const NODES_MAX = 50_000;
const DEPTH_MAX = 64;
const BODIES_MAX = 20_000;

/** A scope inside another one. @throws GraphError when functions or bodies nest too deep */
export function innerScope(outer: ImportScope, change: Partial<ImportScope> = {}): ImportScope {
  if (outer.depth >= DEPTH_MAX) throw new GraphError(`functions and bodies nest deeper than ${DEPTH_MAX}`);
  if (++outer.written.bodies > BODIES_MAX) throw new GraphError(`calls of functions and rounds of loops are written out more than ${BODIES_MAX} times`);
  return { ...outer, values: new Map(), sequences: new Map(), see: (_, value) => value, weights: undefined, depth: outer.depth + 1, ...change };
}

/** The value of that name here or further out. @throws GraphError when there is none */
export function known(scope: ImportScope, name: string, what = "value"): Value {
  for (let at: ImportScope | undefined = scope; at !== undefined; at = at.outer) {
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  throw new GraphError(`the ${what} "${name}" is made nowhere before it is used`);
}

/** The same, undefined for the empty name of an operand that is left out. */
export function knownOrNone(scope: ImportScope, name: string): Value | undefined {
  return name === "" || scope.leftOut?.has(name) === true ? undefined : known(scope, name);
}
