import { create } from "@bufbuild/protobuf";
import type { Tensor } from "@servable/tensor";
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, type AttributeProto, type ModelProto, type NodeProto, type TensorProto } from "./gen/onnx/onnx_pb.js";
import { GraphError } from "./graph-error.ts";
import { tensorProtoOf } from "./tensor-proto.ts";

/**
 * The same model with other numbers in some of its weights: everything else stays as the file has it, opset, names and varying
 * dimensions. Weights may be initialisers or what Constant nodes hold.
 *
 * @throws GraphError for a name that no weight has, or a shape that differs
 */
export function replaceWeights(model: ModelProto, weights: ReadonlyMap<string, Tensor>): ModelProto {
  const { graph } = model;
  if (graph === undefined) throw new GraphError("the model has no graph");
  const left = new Set(weights.keys());
  const replaced = (name: string, dims: readonly bigint[]): TensorProto | undefined => {
    const tensor = weights.get(name);
    if (tensor === undefined) return undefined;
    if (tensor.shape.join() !== dims.join()) throw new GraphError(`the weight "${name}" has the shape [${dims.join()}], not [${tensor.shape.join()}]`);
    left.delete(name);
    return tensorProtoOf(name, tensor);
  };
  const initializer = graph.initializer.map((tensor) => replaced(tensor.name, tensor.dims) ?? tensor);
  const node = graph.node.map((each): NodeProto => {
    const [output = ""] = each.output;
    if (each.opType !== "Constant" || !weights.has(output)) return each;
    const tensor = replaced(output, each.attribute.find(({ name }) => name === "value")?.t?.dims ?? []);
    const attribute: AttributeProto[] = [create(AttributeProtoSchema, { name: "value", type: AttributeType.TENSOR, ...(tensor === undefined ? {} : { t: tensor }) })];
    return changed(each, { attribute });
  });
  const [unknown] = left;
  if (unknown !== undefined) throw new GraphError(`the model has no weight "${unknown}"`);
  return changed(model, { graph: changed(graph, { initializer, node }) });
}

/** A message with other fields. Its defaults lie in its prototype: a spread would lose them. */
function changed<T extends object>(message: T, fields: Partial<T>): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as T, message, fields);
}
