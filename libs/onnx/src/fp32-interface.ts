// Some bindings of onnxruntime have no BF16 tensors though its kernels do. Every BF16 value is an FP32 value, so a graph can
// be given FP32 inputs and outputs with casts right behind and before them: nothing is lost either way.

import { create, toBinary } from "@bufbuild/protobuf";
import { ELEMENT_TYPES } from "./element-type.ts";
import { AttributeProtoSchema, AttributeProto_AttributeType, ModelProtoSchema, NodeProtoSchema, type ModelProto, type NodeProto, type ValueInfoProto } from "./gen/onnx/onnx_pb.js";

const SUFFIX = ":fp32";

/** The name under which a BF16 input or output goes as FP32. */
export function fp32Name(name: string): string {
  return `${name}${SUFFIX}`;
}

/** The encoded model with FP32 in the place of its BF16 inputs and outputs, which are renamed by {@link fp32Name}. Changes the model. */
export function withFp32Interface(model: ModelProto): Uint8Array {
  const { graph } = model;
  if (graph === undefined) throw new TypeError("a model without a graph");
  const initialised = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter((value) => !initialised.has(value.name) && isBf16(value));
  const outputs = graph.output.filter(isBf16);
  // Inner values keep their names, so that nodes and the graphs within them need no change.
  graph.node.unshift(...inputs.map(({ name }) => castNode(fp32Name(name), name, ELEMENT_TYPES.BF16)));
  graph.node.push(...outputs.map(({ name }) => castNode(name, fp32Name(name), ELEMENT_TYPES.FP32)));
  for (const value of [...inputs, ...outputs]) {
    value.name = fp32Name(value.name);
    if (value.type?.value.case === "tensorType") value.type.value.value.elemType = ELEMENT_TYPES.FP32;
  }
  return toBinary(ModelProtoSchema, model);
}

function isBf16({ type }: ValueInfoProto): boolean {
  return type?.value.case === "tensorType" && type.value.value.elemType === ELEMENT_TYPES.BF16;
}

function castNode(input: string, output: string, to: number): NodeProto {
  const attribute = create(AttributeProtoSchema, { name: "to", type: AttributeProto_AttributeType.INT, i: BigInt(to) });
  return create(NodeProtoSchema, { name: `${output}:cast`, opType: "Cast", input: [input], output: [output], attribute: [attribute] });
}
