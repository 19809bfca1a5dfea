// Exporters write layers as functions of the model. They are inlined, as onnxruntime does: gradients and rewrites then see
// operators only.

import { GraphError } from "../graph-error.ts";
import type { Attribute, Value } from "../graph.ts";
import type { FunctionProto, NodeProto } from "../gen/onnx/onnx_pb.js";
import { attributeOfProto } from "./attribute-of-proto.ts";
import { innerScope, known, type ImportScope } from "./import-scope.ts";

/** Puts the body of a function in the place of a call. @throws GraphError for a function of an older opset than any known */
export function callFunction(
  { name, input, output, node, attributeProto, opsetImport }: FunctionProto,
  call: { readonly inputs: readonly (Value | undefined)[]; readonly attributes: Readonly<Record<string, Attribute>> },
  scope: ImportScope,
  importNodes: (nodes: readonly NodeProto[], scope: ImportScope) => void,
): (Value | undefined)[] {
  const defaults = Object.fromEntries(attributeProto.map((attribute) => [attribute.name, attributeOfProto(attribute, `function "${name}"`)]));
  const opset = Number(opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version ?? scope.opset);
  if (call.inputs.length > input.length) throw new GraphError(`function "${name}" takes ${input.length} values and is given ${call.inputs.length}`);
  const leftOut = new Set(input.filter((_, index) => call.inputs[index] === undefined));
  // A body sees nothing but its own: names outside may be the same.
  const { outer: _, ...body } = innerScope(scope, { opset, attributes: { ...defaults, ...call.attributes }, leftOut });
  input.forEach((parameter, index) => {
    const value = call.inputs[index];
    if (value !== undefined) body.values.set(parameter, value);
  });
  importNodes(node, body);
  return output.map((result) => known(body, result, "output"));
}
