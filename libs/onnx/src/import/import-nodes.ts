import { GraphError } from "../graph-error.ts";
import type { Attribute, Value } from "../graph.ts";
import type { GraphProto, NodeProto } from "../gen/onnx/onnx_pb.js";
import { contentsIn } from "../infer/contents.ts";
import { inferTypes, operatorKey } from "../infer/infer-types.ts";
import { tensorOfProto } from "../tensor-proto.ts";
import { attributeOfProto } from "./attribute-of-proto.ts";
import { callFunction } from "./call-function.ts";
import { CONTROL_FLOW } from "./control-flow.ts";
import { NODES_MAX, knownOrNone, type ImportScope, type ImportedNode } from "./import-scope.ts";
import { isSequenceNode, sequenceOutputs } from "./sequences.ts";
import { denseTensor } from "./sparse-weights.ts";
import { constantTensor, upgradeNode } from "./upgrade.ts";

/** Takes nodes into the scope's graph, in their order. @throws GraphError naming the node */
export function importNodes(nodes: readonly NodeProto[], scope: ImportScope): void {
  for (const node of nodes) {
    if (scope.graph.nodes.length > NODES_MAX) throw new GraphError(`the graph becomes more than ${NODES_MAX} nodes, those of functions and unrolled loops included`);
    importNode(node, scope).forEach((value, index) => {
      const name = node.output[index] ?? "";
      if (value !== undefined && name !== "") scope.values.set(name, scope.see(name, value));
    });
  }
}

/** Takes the weights of a body in. Those of the model itself may be parameters, see import-graph.ts. */
export function importBodyWeights(body: GraphProto, scope: ImportScope): void {
  for (const proto of body.initializer) scope.values.set(proto.name, scope.graph.anotherWeight(proto.name, tensorOfProto(proto)));
  for (const proto of body.sparseInitializer) scope.values.set(proto.values?.name ?? "", scope.graph.anotherWeight(proto.values?.name ?? "", denseTensor(proto)));
}

/** Adds a node; answers what stands for its outputs. */
function importNode(proto: NodeProto, scope: ImportScope): readonly (Value | undefined)[] {
  const where = `node "${proto.name || (proto.output[0] ?? "")}" (${proto.domain === "" || proto.domain === "ai.onnx" ? "" : `${proto.domain}::`}${proto.opType})`;
  try {
    return placeNode(proto, scope, where);
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function placeNode(proto: NodeProto, scope: ImportScope, where: string): readonly (Value | undefined)[] {
  const { graph } = scope;
  const domain = proto.domain === "ai.onnx" ? "" : proto.domain;
  if (domain === "" && isSequenceNode(proto, scope)) return sequenceOutputs(proto, attributesOf(proto, scope, where), scope) ?? [];
  const inputs = proto.input.map((name) => knownOrNone(scope, name));
  const flow = domain === "" ? CONTROL_FLOW[proto.opType] : undefined;
  if (flow !== undefined) return flow(proto, inputs, scope, importBody);

  const attributes = attributesOf(proto, scope, where);
  const called = scope.functions.get(`${operatorKey({ opType: proto.opType, domain })}:${proto.overload}`);
  if (called !== undefined) return callFunction(called, { inputs, attributes }, scope, importNodes);
  if (domain === "" && proto.opType === "Constant") {
    const name = proto.output[0] ?? "constant";
    const tensor = constantTensor({ opType: "Constant", attributes });
    return [scope.weights?.(name, tensor) ?? graph.anotherWeight(name, tensor)];
  }

  const drafted = { opType: proto.opType, domain, inputs, attributes, outputCount: proto.output.length };
  const node: ImportedNode = { ...upgradeNode(drafted, scope.opset, graph), name: proto.name, outputNames: proto.output };
  const rewritten = scope.rewrite?.(node, graph);
  if (rewritten !== undefined) return rewritten;
  const types = inferTypes(graph, node);
  const names = proto.output.slice(0, node.outputCount);
  const outputs = graph.nodeOf(node.opType, node.inputs, names.map((name, index) => (name === "" || types[index] === undefined ? undefined : { ...types[index], name })), node.attributes, node.domain, proto.name);
  contentsIn(graph).follow({ ...node, outputs });
  return outputs;
}

function attributesOf(proto: NodeProto, scope: ImportScope, where: string): Record<string, Attribute> {
  return Object.fromEntries(
    proto.attribute.flatMap((attribute): [string, Attribute][] => {
      if (attribute.refAttrName === "") return [[attribute.name, attributeOfProto(attribute, where)]];
      // In the body of a function: what the call gave, or else nothing.
      const given = scope.attributes[attribute.refAttrName];
      return given === undefined ? [] : [[attribute.name, given]];
    }),
  );
}

/** Takes the body of a node in, with values for its inputs; answers its outputs. */
function importBody(body: GraphProto, given: readonly Value[], scope: ImportScope): Value[] {
  body.input.forEach(({ name }, index) => {
    const value = given[index];
    if (value === undefined) throw new GraphError(`the body takes ${body.input.length} values and is given ${given.length}`);
    scope.values.set(name, value);
  });
  importBodyWeights(body, scope);
  importNodes(body.node, scope);
  return body.output.map(({ name }) => {
    const value = knownOrNone(scope, name);
    if (value === undefined) throw new GraphError("the body has an output without a name");
    return value;
  });
}
