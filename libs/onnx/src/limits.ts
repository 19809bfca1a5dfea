// A model file is a program by a stranger. What can be seen without running it is refused here; what cannot (endless runs,
// huge allocations) is left to the bounds of the process that runs it. The cases were found by experiment: see
// docs/adr/0003-engine-in-a-child-process.md.

import { StatusError } from "@servable/errors";
import type { FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto } from "./gen/onnx/onnx_pb.js";
import { externalDataOf, isExternal } from "./external-data.ts";

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

/** How deep functions of a model may call each other. */
const FUNCTION_DEPTH_MAX = 64;

/** What the checks of one model share. */
interface Check {
  readonly limits: ModelLimits;
  readonly files: ReadonlyMap<string, number>;
  /** Domains of the model's own functions. */
  readonly own: ReadonlySet<string>;
  /** Nodes that a node becomes when onnxruntime inlines the function it calls; 0 for an operator. */
  readonly inlined: (node: NodeProto) => number;
  nodeCount: number;
}

/**
 * Refuses graphs that break a limit: weights in files that are not there, unknown operator domains, loops without a bound,
 * too many or too deep nodes, sizes no machine has. The model's own functions are held to the same rules and counted as often
 * as they are called.
 *
 * @param files sizes by path of the files that stand beside the model, at which its weights may point
 * @throws StatusError `MODEL_REFUSED` naming the limit and the node
 */
export function checkLimits(model: ModelProto, limits: ModelLimits = MODEL_LIMITS, files: ReadonlyMap<string, number> = new Map()): void {
  const check: Check = { limits, files, own: new Set(model.functions.map(({ domain }) => domain)), inlined: inlinedNodes(model.functions), nodeCount: 0 };
  // Whatever domain a function claims, also one of onnxruntime's own: its body runs.
  for (const { node } of model.functions) checkNodes(node, constantsOf(node), 0, check);
  if (model.graph !== undefined) checkGraph(model.graph, 0, check);
}

/**
 * Counts what calls of functions become. Functions that call one another twice each double at every level: 15 levels are
 * 2 KB of file and took onnxruntime 18 s to load.
 */
function inlinedNodes(functions: readonly FunctionProto[]): (node: NodeProto) => number {
  const byName = Map.groupBy(functions, ({ domain, name }) => functionKey(domain, name));
  if (byName.size === 0) return () => 0;
  const known = new Map<string, { nodes: number; depth: number }>();
  const open = new Set<string>();
  const sizeOf = (key: string): { nodes: number; depth: number } => {
    const before = known.get(key);
    if (before !== undefined) return before;
    if (open.has(key)) throw refuse(`the function ${key} calls itself`);
    if (open.size > FUNCTION_DEPTH_MAX) throw refuse(`functions call each other deeper than ${FUNCTION_DEPTH_MAX}`);
    open.add(key);
    const size = { nodes: 0, depth: 1 };
    for (const node of (byName.get(key) ?? []).flatMap(({ node }) => node).flatMap(withNested)) {
      const callee = functionKey(node.domain, node.opType);
      const called = byName.has(callee) ? sizeOf(callee) : { nodes: 0, depth: 0 };
      size.nodes += 1 + called.nodes;
      size.depth = Math.max(size.depth, 1 + called.depth);
    }
    if (size.depth > FUNCTION_DEPTH_MAX) throw refuse(`functions call each other deeper than ${FUNCTION_DEPTH_MAX}`);
    open.delete(key);
    known.set(key, size);
    return size;
  };
  return ({ domain, opType }) => (byName.has(functionKey(domain, opType)) ? sizeOf(functionKey(domain, opType)).nodes : 0);
}

/** "" and ai.onnx are one domain. */
function functionKey(domain: string, name: string): string {
  return `"${name}" of "${domain === "ai.onnx" ? "" : domain}"`;
}

/** A node and those of the graphs in its attributes; the protobuf reader bounds how deep they nest. */
function withNested(node: NodeProto): NodeProto[] {
  return [node, ...node.attribute.flatMap(({ g, graphs }) => [...(g === undefined ? [] : [g]), ...graphs]).flatMap((graph) => graph.node.flatMap(withNested))];
}

function checkGraph(graph: GraphProto, depth: number, check: Check): void {
  if (depth > check.limits.nestingDepthMax) throw refuse(`graphs nest deeper than ${check.limits.nestingDepthMax}`);
  for (const tensor of graph.initializer) checkTensor(tensor, check.limits, check.files);
  for (const { values, indices } of graph.sparseInitializer) for (const tensor of [values, indices]) if (tensor !== undefined) checkTensor(tensor, check.limits);
  checkNodes(graph.node, constantsOf(graph.node, graph.initializer), depth, check);
}

/** Tensors known before a run, by name: initialisers and what Constant nodes give. */
function constantsOf(nodes: readonly NodeProto[], initializers: readonly TensorProto[] = []): Map<string, TensorProto> {
  const constants = new Map(initializers.map((tensor) => [tensor.name, tensor]));
  for (const node of nodes) {
    const value = node.opType === "Constant" ? node.attribute.find(({ name }) => name === "value")?.t : undefined;
    if (value !== undefined && node.output[0] !== undefined) constants.set(node.output[0], value);
  }
  return constants;
}

function checkNodes(nodes: readonly NodeProto[], constants: ReadonlyMap<string, TensorProto>, depth: number, check: Check): void {
  for (const node of nodes) checkNode(node, constants, depth, check);
}

function checkNode(node: NodeProto, constants: ReadonlyMap<string, TensorProto>, depth: number, check: Check): void {
  const { limits } = check;
  const where = `node "${node.name}" (${node.opType})`;
  check.nodeCount += 1 + check.inlined(node);
  if (check.nodeCount > limits.nodeCountMax) throw refuse(`the graph has more than ${limits.nodeCountMax} nodes, those of called functions included`);
  // Exporters import domains that no node uses; only use counts.
  if (!DOMAINS.has(node.domain) && !check.own.has(node.domain)) throw refuse(`${where} belongs to the domain "${node.domain}", whose operators are not served`);
  if (node.opType === "Loop" && !hasConstantTripCount(node, constants)) throw refuse(`${where} has no constant trip count: such a loop may never end`);
  if (["ConstantOfShape", "Expand", "Tile", "RandomNormal", "RandomUniform"].includes(node.opType)) checkMadeShape(node, constants, limits, where);
  for (const attribute of node.attribute) {
    if (attribute.t !== undefined) checkTensor(attribute.t, limits);
    for (const tensor of attribute.tensors) checkTensor(tensor, limits);
    if (attribute.g !== undefined) checkGraph(attribute.g, depth + 1, check);
    for (const graph of attribute.graphs) checkGraph(graph, depth + 1, check);
  }
}

/** Only initialisers may point at files, and only at those that came with the model. */
function checkTensor(tensor: TensorProto, limits: ModelLimits, files?: ReadonlyMap<string, number>): void {
  if (isExternal(tensor)) {
    const data = externalDataOf(tensor);
    const location = tensor.externalData.find(({ key }) => key === "location")?.value ?? "";
    const size = files?.get(location);
    if (size === undefined) throw refuse(`tensor "${tensor.name}" points at another file, "${location.slice(0, 80)}", which is not part of the version: upload it too, or save the model with all weights inside`);
    if (data === undefined || data.offsetBytes + data.lengthBytes > size) throw refuse(`tensor "${tensor.name}" points at bytes that "${location}" does not have`);
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
