import type { Tensor } from "@servable/tensor";
import { datatypeOf } from "../element-type.ts";
import { externalDataOf, isExternal, type ExternalData } from "../external-data.ts";
import { GraphError } from "../graph-error.ts";
import { Graph, OPSET_MAX, type Dimension, type Value } from "../graph.ts";
import type { GraphProto, ModelProto, TensorProto } from "../gen/onnx/onnx_pb.js";
import { operatorKey } from "../infer/infer-types.ts";
import { signatureOf } from "../signature.ts";
import { tensorOfProto } from "../tensor-proto.ts";
import { importNodes } from "./import-nodes.ts";
import { known, type ImportScope, type Rewrite } from "./import-scope.ts";
import { denseTensor } from "./sparse-weights.ts";

/** How a model is taken into a graph. */
export interface ImportOptions {
  /** The graph that gets its nodes. @default a new one */
  readonly graph?: Graph;
  /** Values that stand for inputs of the model; the others become inputs of the graph, by their names. */
  readonly inputs?: Readonly<Record<string, Value>>;
  /** Values that stand for weights of the model, e.g. parameters under training; undefined = a constant of the graph. */
  readonly weights?: (name: string, tensor: Tensor) => Value | undefined;
  /** What later nodes see instead of the value of that name. Integrated Gradients put a path in the place of embeddings so. */
  readonly substitute?: (name: string, value: Value) => Value;
  /** Puts other nodes in the place of a node, e.g. with adapters beside it. */
  readonly rewrite?: Rewrite;
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
/** Opsets beyond this one may have changed what operators mean. */
const OPSET_LAST = 28;

/**
 * Takes a read model into a graph under construction, so that nodes can be added to it: gradients with respect to any of its
 * values, above all. Older opsets are brought to ours; functions of the model are inlined, loops of a constant number of
 * rounds written out; sizes are inferred as far as they are known before a run.
 *
 * @throws GraphError naming the node: an operator that is not known here, a loop whose rounds only a run can count, a number
 * of dimensions that only a run can tell
 * @example const { graph, inputs, outputs } = importGraph(readModel(bytes));
 */
export function importGraph(model: ModelProto, { graph = new Graph(), inputs: given = {}, weights, substitute = (_, value) => value, rewrite, readExternal }: ImportOptions = {}): ImportedGraph {
  const proto = model.graph;
  if (proto === undefined) throw new GraphError("the model has no graph");
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version ?? OPSET_FIRST);
  if (opset < OPSET_FIRST) throw new GraphError(`opset ${opset} is older than ${OPSET_FIRST}`);
  if (opset > OPSET_LAST) throw new GraphError(`opset ${opset} is newer than ${OPSET_LAST}: export the model with ${OPSET_MAX} or lower`);
  // What changed after the newest opset that onnxruntime loads is more datatypes, which it would not have kernels for anyway.
  graph.requireOpset(Math.min(opset, OPSET_MAX));

  const values = new Map<string, Value>();
  const inputs = new Map<string, Value>();
  for (const { name, datatype, shape, dimensionNames } of signatureOf(model).inputs) {
    const sizes = shape.map((size, axis): Dimension => (size >= 0 ? size : `?${dimensionNames[axis] || `#${name}.${axis}`}`));
    const value = given[name] ?? graph.input(name, datatype, sizes);
    inputs.set(name, value);
    values.set(name, substitute(name, value));
  }
  for (const [name, tensor] of weightsOf(proto, readExternal)) values.set(name, substitute(name, weights?.(name, tensor) ?? graph.weight(name, tensor)));

  const functions = new Map(model.functions.map((each) => [`${operatorKey({ opType: each.name, domain: each.domain })}:${each.overload}`, each] as const));
  const scope: ImportScope = { graph, values, sequences: new Map(), opset, functions, attributes: {}, rewrite, weights, see: substitute, depth: 0, written: { bodies: 0 } };
  importNodes(proto.node, scope);

  const outputs = new Map(proto.output.map(({ name }) => [name, known(scope, name, "output")] as const));
  return { graph, values, inputs, outputs };
}

function* weightsOf(proto: GraphProto, readExternal: ImportOptions["readExternal"]): Generator<[string, Tensor]> {
  for (const tensor of proto.initializer) yield [tensor.name, isExternal(tensor) ? externalTensor(tensor, readExternal) : tensorOfProto(tensor)];
  for (const tensor of proto.sparseInitializer) yield [tensor.values?.name ?? "", denseTensor(tensor)];
}

function externalTensor(proto: TensorProto, readExternal: ImportOptions["readExternal"]): Tensor {
  const at = externalDataOf(proto);
  const datatype = datatypeOf(proto.dataType);
  if (at === undefined || datatype === undefined || readExternal === undefined) throw new GraphError(`the weight "${proto.name}" stands in another file`);
  return { datatype, shape: proto.dims.map(Number), data: readExternal(at) };
}
