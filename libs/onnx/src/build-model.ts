// A graph under construction becomes the bytes of a model.

import { create, toBinary } from "@bufbuild/protobuf";
import type { Tensor } from "@servable/tensor";
import { ELEMENT_TYPES } from "./element-type.ts";
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, ModelProtoSchema, NodeProtoSchema, ValueInfoProtoSchema, type AttributeProto, type NodeProto, type ValueInfoProto } from "./gen/onnx/onnx_pb.js";
import { GraphError } from "./graph-error.ts";
import { isUnknown, type Attribute, type Dimension, type Graph, type GraphNode, type Value } from "./graph.ts";
import { tensorProtoOf } from "./tensor-proto.ts";

const ML_OPSET = 3;
/** onnxruntime 1.30 reads IR versions up to 13. */
const IR_VERSION = 10n;

/** What a model is made of. */
export interface BuildOptions {
  readonly graph: Graph;
  /** Outputs by the name that callers see. */
  readonly outputs: Readonly<Record<string, Value>>;
  readonly name?: string;
}

/** The bytes of a model: only nodes that the outputs need, in a fixed order, so that the same graph gives the same bytes. */
export function buildModel({ graph, outputs, name = "graph" }: BuildOptions): Uint8Array {
  const named = Object.entries(outputs).map(([as, value]) => ({ as, value }));
  const inputNames = new Set(graph.inputs.map((input) => input.name));
  for (const { as, value } of named) {
    if (as !== value.name && inputNames.has(as)) throw new GraphError(`an input has the name of the output "${as}"`);
  }
  const { nodes, needed } = reachable(graph, named.map(({ value }) => value));
  for (const { as, value } of named) if (as !== value.name && needed.has(as)) throw new GraphError(`a value inside the graph has the name of the output "${as}"`);
  // Rounds of a loop that were written out repeat the names of its body: onnxruntime wants each once.
  const nodeNames = new Set<string>();
  const isFirst = (node: string): boolean => !nodeNames.has(node) && nodeNames.add(node).size > 0;
  const protos: NodeProto[] = nodes.map((node) =>
    create(NodeProtoSchema, {
      opType: node.opType,
      domain: node.domain,
      input: node.inputs.map((value) => value?.name ?? ""),
      output: Array.from(node.outputs, (value) => value?.name ?? ""),
      // Sorted: the same graph is the same bytes, in whatever order the attributes were written.
      attribute: Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => attributeOf(key, value)),
      ...(node.name === undefined || !isFirst(node.name) ? {} : { name: node.name }),
    }),
  );
  // Outputs get the callers' names by an Identity: one value may be several outputs, or an input itself.
  for (const { as, value } of named) if (as !== value.name) protos.push(create(NodeProtoSchema, { opType: "Identity", input: [value.name], output: [as] }));
  // A varying size that an imported input has keeps its name; others that were inferred have none.
  const dimensionNames = new Set(graph.inputs.flatMap(({ shape }) => shape).filter((size) => isUnknown(size)));
  const domains = new Set(nodes.map(({ domain }) => domain));
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "servable",
    opsetImport: [{ domain: "", version: BigInt(graph.opset) }, ...(domains.has("ai.onnx.ml") ? [{ domain: "ai.onnx.ml", version: BigInt(ML_OPSET) }] : []), ...(domains.has("com.microsoft") ? [{ domain: "com.microsoft", version: 1n }] : [])],
    graph: {
      name,
      node: protos,
      initializer: [...graph.initializers.values()].filter(({ value }) => needed.has(value.name)).map(({ value, tensor }) => tensorProtoOf(value.name, tensor)),
      input: graph.inputs.map((input) => valueInfoOf(input, dimensionNames)),
      output: named.map(({ as, value }) => valueInfoOf({ ...value, name: as }, dimensionNames)),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** Nodes that the values hang on, in the order of the graph, and the names of all that those read. */
function reachable(graph: Graph, values: readonly Value[]): { nodes: GraphNode[]; needed: ReadonlySet<string> } {
  const needed = new Set(values.map(({ name }) => name));
  const nodes: GraphNode[] = [];
  for (let index = graph.nodes.length - 1; index >= 0; index--) {
    const node = graph.nodes[index];
    if (node?.outputs.some((value) => value !== undefined && needed.has(value.name)) !== true) continue;
    nodes.push(node);
    for (const input of node.inputs) if (input !== undefined) needed.add(input.name);
  }
  return { nodes: nodes.reverse(), needed };
}

function valueInfoOf({ name, datatype, shape }: Value, dimensionNames: ReadonlySet<Dimension>): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: {
          elemType: ELEMENT_TYPES[datatype],
          shape: { dim: shape.map((size) => dimensionOf(size, dimensionNames)) },
        },
      },
    },
  });
}

function dimensionOf(size: Dimension, known: ReadonlySet<Dimension>): { value?: { case: "dimValue"; value: bigint } | { case: "dimParam"; value: string } } {
  if (typeof size === "number") return { value: { case: "dimValue", value: BigInt(size) } };
  if (!isUnknown(size)) return { value: { case: "dimParam", value: size } };
  const name = size.slice(1);
  return known.has(size) && !name.startsWith("#") ? { value: { case: "dimParam", value: name } } : {};
}

function attributeOf(name: string, value: Attribute): AttributeProto {
  const text = new TextEncoder();
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === "string") return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: text.encode(value) });
  if (Array.isArray(value)) {
    return typeof value[0] === "string"
      ? create(AttributeProtoSchema, { name, type: AttributeType.STRINGS, strings: (value as string[]).map((each) => text.encode(each)) })
      : create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: (value as number[]).map(BigInt) });
  }
  if ("float" in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  if ("floats" in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...value.floats] });
  return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: tensorProtoOf("", (value as { tensor: Tensor }).tensor) });
}
