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
  // A body sees nothing but its own: names outside may be the same.
  const { outer: _, ...rest } = innerScope(scope, { opset, attributes: { ...defaults, ...call.attributes } });
  const body: ImportScope = { ...rest, values: new Map() };
  if (call.inputs.length > input.length) throw new GraphError(`function "${name}" takes ${input.length} values and is given ${call.inputs.length}`);
  const leftOut = new Set<string>();
  input.forEach((parameter, index) => {
    const value = call.inputs[index];
    if (value === undefined) leftOut.add(parameter);
    else body.values.set(parameter, value);
  });
  // An operand that the call leaves out is left out wherever the body hands it on.
  importNodes(node.map((each) => (each.input.some((value) => leftOut.has(value)) ? { ...each, input: each.input.map((value) => (leftOut.has(value) ? "" : value)) } : each)), body);
  return output.map((result) => known(body, result, "output"));
}
