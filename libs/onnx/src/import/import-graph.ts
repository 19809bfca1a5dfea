import type { Tensor } from "@servable/tensor";
import { datatypeOf } from "../element-type.ts";
import { GraphError } from "../graph-error.ts";
import { Graph, type Attribute, type Dimension, type Value } from "../graph.ts";
import type { GraphProto, ModelProto, NodeProto, TensorProto } from "../gen/onnx/onnx_pb.js";
import { externalDataOf, isExternal, type ExternalData } from "../external-data.ts";
import { signatureOf } from "../signature.ts";
import { tensorOfProto } from "../tensor-proto.ts";
import { attributeOfProto } from "./attribute-of-proto.ts";
import { contentsIn } from "../infer/contents.ts";
import { inferTypes, type NodeDraft } from "../infer/infer-types.ts";
import { constantTensor, upgradeNode } from "./upgrade.ts";

/** How a model is taken into a graph. */
export interface ImportOptions {
  /** The graph that gets its nodes. @default a new one */
  readonly graph?: Graph;
  /** Values that stand for inputs of the model; the others become inputs of the graph, by their names. */
  readonly inputs?: Readonly<Record<string, Value>>;
  /** What later nodes see instead of the value of that name. Integrated Gradients put a path in the place of embeddings so. */
  readonly substitute?: (name: string, value: Value) => Value;
  /** The bytes of weights that stand in files of their own. @default such weights are refused */
  readonly readExternal?: (data: ExternalData) => Uint8Array;
}

/** A model inside a graph. */
export interface ImportedGraph {
  readonly graph: Graph;
  /** Every value of the model by its name there: inputs, weights, whatever nodes give; substituted ones as later nodes see them. */
  readonly values: ReadonlyMap<string, Value>;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
}

const OPSET_FIRST = 7;

/**
 * Takes a read model into a graph under construction, so that nodes can be added to it: gradients with respect to any of its
 * values, above all. Older opsets are brought to ours; sizes are inferred as far as they are known before a run.
 *
 * @throws GraphError naming the node: an operator that is not known here, a body (If, Loop, Scan), a number of dimensions that
 * only a run can tell
 * @example const { graph, inputs, outputs } = importGraph(readModel(bytes));
 */
export function importGraph(model: ModelProto, { graph = new Graph(), inputs: given = {}, substitute = (_, value) => value, readExternal }: ImportOptions = {}): ImportedGraph {
  const proto = model.graph;
  if (proto === undefined) throw new GraphError("the model has no graph");
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version ?? 0n);
  if (opset < OPSET_FIRST) throw new GraphError(`opset ${opset} is older than ${OPSET_FIRST}`);
  if (model.functions.length > 0) throw new GraphError("the model has functions of its own");
  graph.opset = Math.max(graph.opset, opset);

  const values = new Map<string, Value>();
  const inputs = new Map<string, Value>();
  for (const { name, datatype, shape, dimensionNames } of signatureOf(model).inputs) {
    const sizes = shape.map((size, axis): Dimension => (size >= 0 ? size : `?${dimensionNames[axis] || `${name}.${axis}`}`));
    const value = given[name] ?? graph.input(name, datatype, sizes);
    inputs.set(name, value);
    values.set(name, substitute(name, value));
  }
  addWeights(proto, graph, values, readExternal);

  const scope: Scope = { graph, values, opset };
  for (const node of proto.node) {
    for (const [name, value] of addNode(node, scope)) values.set(name, substitute(name, value));
  }

  const outputs = new Map(proto.output.map(({ name }) => [name, known(values, name, "output")] as const));
  return { graph, values, inputs, outputs };
}

interface Scope {
  readonly graph: Graph;
  readonly values: Map<string, Value>;
  readonly opset: number;
}

function addWeights(proto: GraphProto, graph: Graph, values: Map<string, Value>, readExternal: ImportOptions["readExternal"]): void {
  if (proto.sparseInitializer.length > 0) throw new GraphError("the model has sparse weights");
  for (const tensor of proto.initializer) values.set(tensor.name, graph.weight(tensor.name, isExternal(tensor) ? externalTensor(tensor, readExternal) : tensorOfProto(tensor)));
}

function externalTensor(proto: TensorProto, readExternal: ImportOptions["readExternal"]): Tensor {
  const at = externalDataOf(proto);
  const datatype = datatypeOf(proto.dataType);
  if (at === undefined || datatype === undefined || readExternal === undefined) throw new GraphError(`the weight "${proto.name}" stands in another file`);
  return { datatype, shape: proto.dims.map(Number), data: readExternal(at) };
}

/** Adds a node; answers its outputs by their names in the model. */
function addNode(proto: NodeProto, { graph, values, opset }: Scope): [string, Value][] {
  const where = `node "${proto.name || (proto.output[0] ?? "")}" (${proto.opType})`;
  try {
    const attributes: Record<string, Attribute> = Object.fromEntries(proto.attribute.map((attribute) => [attribute.name, attributeOfProto(attribute, where)]));
    const inputs = proto.input.map((name) => (name === "" ? undefined : known(values, name, "value")));
    if (proto.opType === "Constant") return [[proto.output[0] ?? "", graph.weight(proto.output[0] ?? "constant", constantTensor({ opType: "Constant", attributes }))]];
    const draft: NodeDraft = { opType: proto.opType, domain: proto.domain === "ai.onnx" ? "" : proto.domain, inputs, attributes, outputCount: proto.output.length };
    const node = upgradeNode(draft, opset, graph);
    const types = inferTypes(graph, node);
    const names = proto.output.slice(0, node.outputCount);
    const outputs = graph.nodeOf(node.opType, node.inputs, names.map((name, index) => (name === "" || types[index] === undefined ? undefined : { ...types[index], name })), node.attributes, node.domain, proto.name);
    contentsIn(graph).follow({ ...node, outputs });
    return outputs.flatMap((value, index): [string, Value][] => (value === undefined ? [] : [[proto.output[index] ?? "", value]]));
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function known(values: ReadonlyMap<string, Value>, name: string, what: string): Value {
  const value = values.get(name);
  if (value === undefined) throw new GraphError(`the ${what} "${name}" is made nowhere before it is used`);
  return value;
}
