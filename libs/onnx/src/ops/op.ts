// Every builder of this folder is a thin name for `op`: what an operator makes of its operands is said once, by the rules in
// infer/, and holds for authored and for imported graphs alike.

import { GraphError } from "../graph-error.ts";
import type { Attribute, Graph, Value } from "../graph.ts";
import { contentsIn } from "../infer/contents.ts";
import { inferTypes, type NodeDraft } from "../infer/infer-types.ts";

/** Attributes by name; those left undefined are not written, the operator's own defaults hold. */
export type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** What else there is to say of a node. */
export interface OpOptions {
  /** Operator set, "" = ai.onnx. */
  readonly domain?: string;
  /** @default 1 */
  readonly outputCount?: number;
}

/**
 * Adds a node of any known operator with one output; datatype and shape are inferred.
 *
 * @throws GraphError naming the operator and its operands, when they do not fit or the operator is not known
 * @example const y = op(graph, "Conv", [x, w], { pads: [1, 1, 1, 1] });
 */
export function op(graph: Graph, opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, options: OpOptions = {}): Value {
  const [value] = ops(graph, opType, inputs, attributes, options);
  if (value === undefined) throw new GraphError(`${opType} gives nothing`);
  return value;
}

/** As {@link op}, for an operator with several outputs. */
export function ops(graph: Graph, opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, { domain = "", outputCount = 1 }: OpOptions = {}): Value[] {
  const written = Object.fromEntries(Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined));
  const draft: NodeDraft = { opType, domain, inputs: withoutTail(inputs), attributes: written, outputCount };
  const outputs = graph.nodeOf(opType, draft.inputs, typesOf(graph, draft), written, domain) as Value[];
  contentsIn(graph).follow({ ...draft, outputs });
  return outputs;
}

function typesOf(graph: Graph, draft: NodeDraft): ReturnType<typeof inferTypes> {
  try {
    return inferTypes(graph, draft).slice(0, draft.outputCount);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const operands = draft.inputs.map((value) => (value === undefined ? "nothing" : `${value.name}: ${value.datatype}[${value.shape.join(", ")}]`));
    throw new GraphError(`${draft.opType}(${operands.join("; ")}): ${error.message}`, { cause: error });
  }
}

/** Optional operands at the end are left out by being absent. */
function withoutTail(inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
  const last = inputs.findLastIndex((value) => value !== undefined);
  return inputs.slice(0, last + 1);
}
