// A model file is a program by a stranger. What can be seen without running it is refused here; what cannot (endless runs,
// huge allocations) is left to the bounds of the process that runs it. The cases were found by experiment: see
// docs/adr/0003-engine-in-a-child-process.md.

import { StatusError } from "@servable/errors";
import type { GraphProto, ModelProto, NodeProto, TensorProto } from "./gen/onnx/onnx_pb.js";
import { TensorProto_DataLocation } from "./gen/onnx/onnx_pb.js";

/** Bounds of a graph that may be loaded. */
export interface ModelLimits {
  /** Nodes of all graphs together; 200,000 took onnxruntime 24 s to load. */
  readonly nodeCountMax: number;
  /** How deep If, Loop and Scan bodies may nest. */
  readonly nestingDepthMax: number;
  /** Elements of any one constant that the graph makes from its attributes. */
  readonly constantElementsMax: number;
}

/** The bounds used unless told otherwise. */
export const MODEL_LIMITS: ModelLimits = { nodeCountMax: 50_000, nestingDepthMax: 16, constantElementsMax: 2 ** 28 };

const DOMAINS = new Set(["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental"]);

/**
 * Refuses graphs that break a limit: external data, unknown operator domains, loops without a bound, too many or too deep
 * nodes, sizes no machine has.
 *
 * @throws StatusError `MODEL_REFUSED` naming the limit and the node
 */
export function checkLimits(model: ModelProto, limits: ModelLimits = MODEL_LIMITS): void {
  if (model.functions.some(({ domain }) => !DOMAINS.has(domain) && domain !== "")) {
    // Functions are inlined by onnxruntime; their nodes are held to the same rules.
    for (const { node } of model.functions) for (const each of node) checkNode(each, new Map(), limits, 0, { count: 0 }, new Set(model.functions.map(({ domain }) => domain)));
  }
  const own = new Set(model.functions.map(({ domain }) => domain));
  if (model.graph !== undefined) checkGraph(model.graph, limits, 0, { count: 0 }, own);
}

function checkGraph(graph: GraphProto, limits: ModelLimits, depth: number, seen: { count: number }, own: ReadonlySet<string>): void {
  if (depth > limits.nestingDepthMax) throw refuse(`graphs nest deeper than ${limits.nestingDepthMax}`);
  const constants = new Map<string, TensorProto>();
  for (const tensor of graph.initializer) {
    checkTensor(tensor, limits);
    constants.set(tensor.name, tensor);
  }
  for (const { values, indices } of graph.sparseInitializer) for (const tensor of [values, indices]) if (tensor !== undefined) checkTensor(tensor, limits);
  for (const node of graph.node) {
    const value = node.opType === "Constant" ? node.attribute.find(({ name }) => name === "value")?.t : undefined;
    if (value !== undefined && node.output[0] !== undefined) constants.set(node.output[0], value);
  }
  for (const node of graph.node) checkNode(node, constants, limits, depth, seen, own);
}

function checkNode(node: NodeProto, constants: ReadonlyMap<string, TensorProto>, limits: ModelLimits, depth: number, seen: { count: number }, own: ReadonlySet<string>): void {
  const where = `node "${node.name}" (${node.opType})`;
  if (++seen.count > limits.nodeCountMax) throw refuse(`the graph has more than ${limits.nodeCountMax} nodes`);
  // Exporters import domains that no node uses; only use counts.
  if (!DOMAINS.has(node.domain) && !own.has(node.domain)) throw refuse(`${where} belongs to the domain "${node.domain}", whose operators are not served`);
  if (node.opType === "Loop" && !hasConstantTripCount(node, constants)) throw refuse(`${where} has no constant trip count: such a loop may never end`);
  if (["ConstantOfShape", "Expand", "Tile", "RandomNormal", "RandomUniform"].includes(node.opType)) checkMadeShape(node, constants, limits, where);
  for (const attribute of node.attribute) {
    if (attribute.t !== undefined) checkTensor(attribute.t, limits);
    for (const tensor of attribute.tensors) checkTensor(tensor, limits);
    if (attribute.g !== undefined) checkGraph(attribute.g, limits, depth + 1, seen, own);
    for (const graph of attribute.graphs) checkGraph(graph, limits, depth + 1, seen, own);
  }
}

function checkTensor(tensor: TensorProto, limits: ModelLimits): void {
  if (tensor.externalData.length > 0 || tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    throw refuse(`tensor "${tensor.name}" points at another file: save the model with all weights inside`);
  }
  const elements = tensor.dims.reduce((product, dimension) => product * (dimension < 0n ? 2n ** 62n : dimension), 1n);
  if (elements > BigInt(limits.constantElementsMax) * 16n) throw refuse(`tensor "${tensor.name}" states ${elements} elements`);
}

/** Shape operands that are constants are known now: a bomb of them is refused before it is built. */
function checkMadeShape(node: NodeProto, constants: ReadonlyMap<string, TensorProto>, limits: ModelLimits, where: string): void {
  const attribute = node.attribute.find(({ name }) => name === "shape")?.ints;
  const operand = node.input[node.opType === "ConstantOfShape" ? 0 : 1];
  const dims = attribute ?? (operand === undefined ? undefined : int64Values(constants.get(operand)));
  if (dims === undefined) return;
  const elements = dims.reduce((product, dimension) => product * (dimension < 1n ? 1n : dimension), 1n);
  if (elements > BigInt(limits.constantElementsMax)) throw refuse(`${where} makes ${elements} elements, at most ${limits.constantElementsMax} are allowed`);
}

function hasConstantTripCount(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): boolean {
  const trips = node.input[0];
  const values = trips === undefined || trips === "" ? undefined : int64Values(constants.get(trips));
  return values !== undefined && values.length === 1 && (values[0] ?? 0n) <= 1_000_000n;
}

function int64Values(tensor: TensorProto | undefined): bigint[] | undefined {
  if (tensor === undefined || tensor.dataType !== 7) return undefined;
  if (tensor.int64Data.length > 0) return tensor.int64Data;
  const raw = tensor.rawData;
  if (raw === undefined || raw.length % 8 !== 0) return undefined;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Array.from({ length: raw.length / 8 }, (_, index) => view.getBigInt64(index * 8, true));
}

function refuse(why: string): StatusError {
  return new StatusError("MODEL_REFUSED", `the model is refused: ${why}`);
}
