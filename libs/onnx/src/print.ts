import { datatypeOf } from "./element-type.ts";
import type { ModelProto, ValueInfoProto } from "./gen/onnx/onnx_pb.js";

/** A model as text, one node a line: `Relu_1 = Relu(MatMul_0)`. */
export function printModel(model: ModelProto): string {
  const graph = model.graph;
  const header = (value: ValueInfoProto): string => {
    const type = value.type?.value;
    if (type?.case !== "tensorType") return value.name;
    const dims = type.value.shape?.dim.map(({ value: dim }) => (dim.case === undefined ? "?" : String(dim.value))) ?? [];
    return `${value.name}: ${datatypeOf(type.value.elemType) ?? type.value.elemType}[${dims.join(", ")}]`;
  };
  return [
    `${graph?.name ?? ""}(${graph?.input.map(header).join(", ")}) → (${graph?.output.map(header).join(", ")})`,
    ...(graph?.initializer.map(({ name, dims, dataType }) => `  ${name} = weight ${datatypeOf(dataType ?? 0) ?? dataType}[${dims.join(", ")}]`) ?? []),
    ...(graph?.node.map(({ opType, domain, input, output }) => `  ${output.join(", ")} = ${domain === "" ? "" : `${domain}::`}${opType}(${input.join(", ")})`) ?? []),
    "",
  ].join("\n");
}
