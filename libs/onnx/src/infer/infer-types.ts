import { elementCount, elementsOf, isFloat, type Datatype } from "@servable/tensor";
import { datatypeOf } from "../element-type.ts";
import { GraphError } from "../graph-error.ts";
import type { Attribute, Graph, OutputSpec, Value } from "../graph.ts";
import { contentsIn } from "./contents.ts";
import { TYPES } from "./index.ts";

/** A node on its way into a graph. */
export interface NodeDraft {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputCount: number;
}

/** The key of an operator in the tables of rules: the default domain's go without theirs. */
export function operatorKey({ opType, domain }: Pick<NodeDraft, "opType" | "domain">): string {
  return domain === "" || domain === "ai.onnx" ? opType : `${domain}::${opType}`;
}

/**
 * Datatypes and shapes of what a node gives.
 *
 * @throws GraphError for an operator that is not known here, and operands that do not fit it
 */
export function inferTypes(graph: Graph, node: NodeDraft): OutputSpec[] {
  const rule = TYPES[operatorKey(node)];
  if (rule === undefined) throw new GraphError(`the operator is not known here; ${knownOperators().length} are, see libs/onnx/README.md; ${alike(operatorKey(node))}`);
  const contents = contentsIn(graph);
  const floats = (value: Value | undefined): readonly number[] | undefined => {
    const tensor = value && graph.initializers.get(value.name)?.tensor;
    return tensor === undefined || !isFloat(tensor.datatype) || elementCount(tensor.shape) > ELEMENTS_MAX ? undefined : elementsOf(tensor).map(Number);
  };
  return rule({ node, inputs: node.inputs, outputCount: node.outputCount, contents: (value) => contents.of(value), floats, datatype: knownDatatype, unknown: () => graph.unknownSize() });
}

function knownDatatype(elementType: number): Datatype {
  const datatype = datatypeOf(elementType);
  if (datatype === undefined) throw new GraphError(`there are no tensors of the ONNX element type ${elementType} here`);
  return datatype;
}

/** Operands that steer shapes have a number for each axis. */
const ELEMENTS_MAX = 64;

function alike(operator: string): string {
  const names = knownOperators().filter((known) => known.slice(0, 1) === operator.slice(0, 1) && known.includes("::") === operator.includes("::"));
  return names.length === 0 ? "none has the same first letter" : `with the same first letter: ${names.join(", ")}`;
}

/** The operators whose types can be inferred, in alphabetical order. */
export function knownOperators(): string[] {
  return Object.keys(TYPES).sort();
}
