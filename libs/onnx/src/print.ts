import { elementCount, elementsOf, type Tensor } from "@servable/tensor";
import { datatypeOf } from "./element-type.ts";
import { AttributeProto_AttributeType as AttributeType, type AttributeProto, type GraphProto, type ModelProto, type NodeProto, type ValueInfoProto } from "./gen/onnx/onnx_pb.js";
import type { Attribute, Graph, GraphNode, Value } from "./graph.ts";
import { tensorOfProto } from "./tensor-proto.ts";

/** Elements of a constant that are shown. */
const ELEMENTS_SHOWN = 8;

/** A model as text, one node a line: `y = Softmax(scores) {axis = -1}`; graphs inside of nodes are indented below them. */
export function printModel(model: ModelProto): string {
  const opsets = model.opsetImport.map(({ domain, version }) => `${domain === "" ? "ai.onnx" : domain}@${version}`);
  const functions = model.functions.map(({ domain, name, input, output, node }) => [`${domain}::${name}(${input.join(", ")}) → (${output.join(", ")})`, ...node.flatMap((each) => nodeLines(each, "  "))].join("\n"));
  return [`// ${opsets.join(", ")}`, ...(model.graph === undefined ? [] : graphLines(model.graph, "")), ...functions, ""].join("\n");
}

/** A graph under construction as text: every value with its datatype and shape. */
export function printGraph(graph: Graph): string {
  const typed = ({ name, datatype, shape }: Value): string => `${name}: ${datatype}[${shape.join(", ")}]`;
  const line = ({ opType, domain, inputs, outputs, attributes }: GraphNode): string => {
    const written = Object.entries(attributes).map(([name, value]) => `${name} = ${attributeText(value)}`);
    return `  ${outputs.map((value) => (value === undefined ? "_" : typed(value))).join(", ")} = ${domain === "" ? "" : `${domain}::`}${opType}(${inputs.map((value) => value?.name ?? "_").join(", ")})${written.length === 0 ? "" : ` {${written.join(", ")}}`}`;
  };
  return [`(${graph.inputs.map(typed).join(", ")})`, ...[...graph.initializers.values()].map(({ value, tensor }) => `  ${typed(value)} = ${tensorText(tensor)}`), ...graph.nodes.map(line), ""].join("\n");
}

function graphLines(graph: GraphProto, indent: string): string[] {
  return [
    `${indent}${graph.name}(${graph.input.map(header).join(", ")}) → (${graph.output.map(header).join(", ")})`,
    ...graph.initializer.map(({ name, dims, dataType }) => `${indent}  ${name} = weight ${datatypeOf(dataType) ?? dataType}[${dims.join(", ")}]`),
    ...graph.node.flatMap((node) => nodeLines(node, `${indent}  `)),
  ];
}

function header(value: ValueInfoProto): string {
  const type = value.type?.value;
  if (type?.case !== "tensorType") return value.name;
  const dims = type.value.shape?.dim.map(({ value: dim }) => (dim.case === undefined ? "?" : String(dim.value))) ?? [];
  return `${value.name}: ${datatypeOf(type.value.elemType) ?? type.value.elemType}[${dims.join(", ")}]`;
}

function nodeLines({ opType, domain, input, output, attribute }: NodeProto, indent: string): string[] {
  const plain = attribute.filter(({ g }) => g === undefined).map((each) => `${each.name} = ${protoText(each)}`);
  const line = `${indent}${output.join(", ")} = ${domain === "" ? "" : `${domain}::`}${opType}(${input.join(", ")})${plain.length === 0 ? "" : ` {${plain.join(", ")}}`}`;
  return [line, ...attribute.flatMap(({ name, g }) => (g === undefined ? [] : [`${indent}  ${name}:`, ...graphLines(g, `${indent}    `)]))];
}

function protoText(attribute: AttributeProto): string {
  const text = new TextDecoder();
  switch (attribute.type) {
    case AttributeType.INT:
      return String(attribute.i);
    case AttributeType.FLOAT:
      return String(attribute.f);
    case AttributeType.STRING:
      return JSON.stringify(text.decode(attribute.s));
    case AttributeType.INTS:
      return `[${attribute.ints.join(", ")}]`;
    case AttributeType.FLOATS:
      return `[${attribute.floats.join(", ")}]`;
    case AttributeType.STRINGS:
      return `[${attribute.strings.map((each) => JSON.stringify(text.decode(each))).join(", ")}]`;
    case AttributeType.TENSOR:
      return attribute.t === undefined || datatypeOf(attribute.t.dataType) === undefined ? "tensor" : tensorText(tensorOfProto(attribute.t));
    default:
      return attribute.refAttrName === "" ? "…" : `@${attribute.refAttrName}`;
  }
}

function attributeText(value: Attribute): string {
  if (typeof value !== "object" || Array.isArray(value)) return JSON.stringify(value);
  if ("tensor" in value) return tensorText((value as { tensor: Tensor }).tensor);
  return "float" in value ? String(value.float) : `[${(value as { floats: readonly number[] }).floats.join(", ")}]`;
}

function tensorText(tensor: Tensor): string {
  const type = `${tensor.datatype}[${tensor.shape.join(", ")}]`;
  if (tensor.datatype === "BYTES" || elementCount(tensor.shape) > ELEMENTS_SHOWN) return `weight ${type}`;
  return `${type}{${elementsOf(tensor).map(String).join(", ")}}`;
}
