// A graph under construction. Values know their datatype and shape when they are made, so that a mistake is an error at the
// line that made it, and not at the end inside onnxruntime.

import { create, toBinary } from "@bufbuild/protobuf";
import { elementCount, tensorOf, type Datatype, type Tensor, type ElementValue } from "@servable/tensor";
import { decodeBytesElements } from "@servable/tensor";
import { ELEMENT_TYPES } from "./element-type.ts";
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, ModelProtoSchema, NodeProtoSchema, TensorProtoSchema, ValueInfoProtoSchema, type AttributeProto, type NodeProto, type TensorProto, type ValueInfoProto } from "./gen/onnx/onnx_pb.js";

/** A size, or the name of one that varies. A name that begins with "?" is an inferred one, see {@link isUnknown}. */
export type Dimension = number | string;

/**
 * Whether a dimension of an imported graph is not known while the graph is built. Equal names are equal sizes; different ones
 * may be equal too, or broadcast: what depends on it is found out by nodes when the graph runs.
 */
export function isUnknown(dimension: Dimension | undefined): boolean {
  return typeof dimension === "string" && dimension.startsWith("?");
}

/** A symbolic tensor: an input, a constant or what a node gives. */
export interface Value {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly Dimension[];
}

/** An attribute of a node, by its JavaScript form: whole numbers are ints; write floats as `{ float }`. */
export type Attribute = number | string | readonly number[] | readonly string[] | { readonly float: number } | { readonly floats: readonly number[] } | { readonly tensor: Tensor };

/** A node with the values it connects, as gradients read it. */
export interface GraphNode {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  /** Undefined where an imported node leaves out an optional output. */
  readonly outputs: readonly (Value | undefined)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Type of a node's output, and the name that it is to have. */
export interface OutputSpec {
  readonly datatype: Datatype;
  readonly shape: readonly Dimension[];
  readonly name?: string;
}

/** Raised while a graph is built: operands that do not fit. */
export class GraphError extends Error {
  override readonly name = "GraphError";
}

/** The opset of authored graphs: every operator used here has a CPU kernel in it. */
export const OPSET = 21;
const ML_OPSET = 3;
/** onnxruntime 1.30 reads IR versions up to 13. */
const IR_VERSION = 10n;

/** A graph under construction: add inputs and nodes, then {@link buildModel}. */
export class Graph {
  readonly inputs: Value[] = [];
  readonly nodes: GraphNode[] = [];
  /** Opset of the default domain; importing a newer model raises it. */
  opset = OPSET;
  readonly initializers = new Map<string, { readonly value: Value; readonly tensor: Tensor }>();
  readonly #constants = new Map<string, Value>();
  readonly #taken = new Set<string>();
  readonly #prefix: string;
  #names = 0;

  /** @param prefix begins every name that the graph makes up itself: a model that is imported later keeps its own names then */
  constructor(prefix = "") {
    this.#prefix = prefix;
  }

  /**
   * Adds an input. Its name is the caller's, e.g. a column of a table, and may be any: names of nodes and weights added later
   * make way, so add inputs first.
   *
   * @throws GraphError when a value has that name already
   */
  input(name: string, datatype: Datatype, shape: readonly Dimension[]): Value {
    if (this.#taken.has(name)) throw new GraphError(`there is a value "${name}" already: add inputs before nodes`);
    this.#taken.add(name);
    const value = { name, datatype, shape };
    this.inputs.push(value);
    return value;
  }

  /** A constant of JavaScript values; equal ones are stored once. */
  constant(datatype: Datatype, shape: readonly number[], values: readonly ElementValue[] | readonly string[]): Value {
    const tensor = tensorOf(datatype, shape, values);
    const key = `${datatype}[${shape.join()}]${Buffer.from(tensor.data).toString("latin1")}`;
    const known = tensor.data.length <= 1024 ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const value = this.weight(this.#unused("const"), tensor);
    this.#constants.set(key, value);
    return value;
  }

  /** A named constant, e.g. a trained weight; a number follows its name where an input has it. */
  weight(name: string, tensor: Tensor): Value {
    if (this.initializers.has(name)) throw new GraphError(`there is a weight "${name}" already`);
    const value = { name: this.#taken.has(name) ? this.#fresh(name) : name, datatype: tensor.datatype, shape: tensor.shape };
    this.#taken.add(value.name);
    this.initializers.set(value.name, { value, tensor });
    return value;
  }

  /** Adds a node with one output whose type the caller has inferred. */
  node(opType: string, inputs: readonly (Value | undefined)[], output: OutputSpec, attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): Value {
    const value = { name: output.name ?? this.#fresh(opType), datatype: output.datatype, shape: output.shape };
    this.nodes.push({ opType, domain, inputs, outputs: [value], attributes });
    return value;
  }

  /** Adds a node with several outputs, undefined = left out; a number follows a name that is taken. */
  nodeOf(opType: string, inputs: readonly (Value | undefined)[], outputs: readonly (OutputSpec | undefined)[], attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): (Value | undefined)[] {
    const values = outputs.map((output) => output && this.#valueOf(opType, output));
    this.nodes.push({ opType, domain, inputs, outputs: values, attributes });
    return values;
  }

  /** An optional output of a node that is there: the one it has, or from now on gives. Gradients ask for, e.g., MaxPool's indices. */
  optionalOutput(node: GraphNode, index: number, output: OutputSpec): Value {
    const known = node.outputs[index];
    if (known !== undefined) return known;
    const value = this.#valueOf(node.opType, output);
    // The node object stays the same: whoever walks the graph right now holds it.
    const outputs = node.outputs as (Value | undefined)[];
    while (outputs.length < index) outputs.push(undefined);
    outputs[index] = value;
    return value;
  }

  #valueOf(opType: string, { name, datatype, shape }: OutputSpec): Value {
    const unique = name === undefined || this.#taken.has(name) ? this.#fresh(name ?? opType) : name;
    this.#taken.add(unique);
    return { name: unique, datatype, shape };
  }

  #fresh(stem: string): string {
    const name = this.#unused(stem);
    this.#taken.add(name);
    return name;
  }

  #unused(stem: string): string {
    for (;;) {
      const name = `${this.#prefix}${stem}_${this.#names++}`;
      if (!this.#taken.has(name)) return name;
    }
  }
}

/** What a model is made of. */
export interface BuildOptions {
  readonly graph: Graph;
  /** Outputs by the name that callers see. */
  readonly outputs: Readonly<Record<string, Value>>;
  readonly name?: string;
}

/** The bytes of a model: only nodes that the outputs need, in a fixed order, so that the same graph gives the same bytes. */
export function buildModel({ graph, outputs, name = "graph" }: BuildOptions): Uint8Array {
  const named = Object.entries(outputs).map(([as, value]) => ({ as, value, node: graph.nodes.find(({ outputs: made }) => made.includes(value)) }));
  for (const { as, value } of named) {
    if (as !== value.name && graph.inputs.some(({ name: taken }) => taken === as)) throw new GraphError(`an input has the name of the output "${as}"`);
  }
  const needed = new Set<string>(named.map(({ value }) => value.name));
  const nodes: GraphNode[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((value) => value !== undefined && needed.has(value.name))) continue;
    nodes.unshift(node);
    for (const input of node.inputs) if (input !== undefined) needed.add(input.name);
  }
  const protos: NodeProto[] = nodes.map((node) =>
    create(NodeProtoSchema, {
      opType: node.opType,
      domain: node.domain,
      input: node.inputs.map((value) => value?.name ?? ""),
      output: Array.from(node.outputs, (value) => value?.name ?? ""),
      attribute: Object.entries(node.attributes).map(([key, value]) => attributeOf(key, value)),
    }),
  );
  // Outputs get the callers' names by an Identity: one value may be several outputs, or an input itself.
  for (const { as, value } of named) if (as !== value.name) protos.push(create(NodeProtoSchema, { opType: "Identity", input: [value.name], output: [as] }));
  const domains = new Set(nodes.map(({ domain }) => domain));
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "servable",
    opsetImport: [{ domain: "", version: BigInt(graph.opset) }, ...(domains.has("ai.onnx.ml") ? [{ domain: "ai.onnx.ml", version: BigInt(ML_OPSET) }] : []), ...(domains.has("com.microsoft") ? [{ domain: "com.microsoft", version: 1n }] : [])],
    graph: {
      name,
      node: protos,
      initializer: [...graph.initializers.values()].filter(({ value }) => needed.has(value.name)).map(({ value, tensor }) => tensorProtoOf(value.name, tensor)),
      input: graph.inputs.map(valueInfoOf),
      output: named.map(({ as, value }) => valueInfoOf({ ...value, name: as })),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

function valueInfoOf({ name, datatype, shape }: Value): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: {
          elemType: ELEMENT_TYPES[datatype],
          shape: { dim: shape.map((dimension) => (isUnknown(dimension) ? {} : { value: typeof dimension === "number" ? { case: "dimValue" as const, value: BigInt(dimension) } : { case: "dimParam" as const, value: dimension } })) },
        },
      },
    },
  });
}

function tensorProtoOf(name: string, { datatype, shape, data }: Tensor): TensorProto {
  const head = { name, dataType: ELEMENT_TYPES[datatype], dims: shape.map(BigInt) };
  return create(TensorProtoSchema, datatype === "BYTES" ? { ...head, stringData: decodeBytesElements(data, elementCount(shape)) } : { ...head, rawData: data });
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
