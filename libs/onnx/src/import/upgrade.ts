// One graph has one opset, and what is added to an imported graph (gradients, paths) is written in ours. So an older model's
// nodes are brought to our opset as they are read. Each step says from which opset on the new form holds; see the "Version"
// tables of ONNX's Operators.md and Changelog.md.

import { tensorOf } from "@servable/tensor";
import { floatAttribute, floatsAttribute, intAttribute, intsAttribute, textAttribute } from "../attributes.ts";
import { ELEMENT_TYPES } from "../element-type.ts";
import { GraphError } from "../graph-error.ts";
import type { Graph, Value } from "../graph.ts";
import { op } from "../ops/op.ts";
import type { NodeDraft } from "../infer/infer-types.ts";

type Upgrade = (node: NodeDraft, graph: Graph) => NodeDraft;

/** For each operator: the first opset that has today's form, and how to get there from before. */
const UPGRADES: Readonly<Record<string, readonly { readonly since: number; readonly upgrade: Upgrade }[]>> = {
  ...Object.fromEntries(["Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Mean"].map((name) => [`Reduce${name}`, [{ since: 18, upgrade: axesAsInput }]])),
  ReduceSum: [{ since: 13, upgrade: axesAsInput }],
  Squeeze: [{ since: 13, upgrade: axesAsInput }],
  Unsqueeze: [{ since: 13, upgrade: axesAsInput }],
  Softmax: [{ since: 13, upgrade: oneAxis }],
  LogSoftmax: [{ since: 13, upgrade: oneAxis }],
  Hardmax: [{ since: 13, upgrade: oneAxis }],
  Clip: [{ since: 11, upgrade: (node, graph) => moved(node, ["min", "max"], [floatOperand(node, graph, "min", -3.4028234663852886e38), floatOperand(node, graph, "max", 3.4028234663852886e38)]) }],
  Slice: [{ since: 10, upgrade: (node, graph) => moved(node, ["starts", "ends", "axes"], ["starts", "ends", "axes"].map((name) => intsOperand(node, graph, name))) }],
  Pad: [{ since: 11, upgrade: (node, graph) => moved(node, ["pads", "value"], [intsOperand(node, graph, "pads"), floatOperand(node, graph, "value", 0)]) }],
  // Without training_mode it is the identity; the rate stays readable for those who train.
  Dropout: [{ since: 12, upgrade: (node, graph) => ({ ...moved(node, ["ratio"], [graph.constant("FP32", [], [floatAttribute(node, "ratio", 0.5)])]), outputCount: 1 }) }],
  Split: [
    { since: 13, upgrade: (node, graph) => moved(node, ["split"], [intsOperand(node, graph, "split")]) },
    { since: 18, upgrade: (node) => (node.inputs[1] === undefined ? { ...node, attributes: { ...node.attributes, num_outputs: node.outputCount } } : node) },
  ],
  BatchNormalization: [{ since: 9, upgrade: (node) => (intAttribute(node, "spatial", 1) === 1 ? dropped(node, "spatial") : refuse(node)) }, { since: 14, upgrade: batchStatistics }],
  TopK: [{ since: 10, upgrade: (node, graph) => moved(node, ["k"], [graph.constant("INT64", [1], [BigInt(intAttribute(node, "k", 1))])]) }],
  Upsample: [{ since: 99, upgrade: toResize }],
  Resize: [{ since: 11, upgrade: toResize }],
  // The datatype is known here, and Cast has a gradient.
  CastLike: [{ since: 99, upgrade: (node) => ({ ...node, opType: "Cast", inputs: node.inputs.slice(0, 1), attributes: { to: ELEMENT_TYPES[node.inputs[1]?.datatype ?? "FP32"] } }) }],
  Scatter: [{ since: 99, upgrade: (node) => ({ ...node, opType: "ScatterElements" }) }],
  GroupNormalization: [{ since: 21, upgrade: channelsOfGroups }],
  GridSample: [{ since: 20, upgrade: renamedModes }],
  DFT: [{ since: 20, upgrade: (node, graph) => dropped({ ...node, inputs: [node.inputs[0], node.inputs[1], graph.constant("INT64", [], [BigInt(intAttribute(node, "axis", 1))])] }, "axis") }],
};

/** The node in our opset's form. @throws GraphError when there is none */
export function upgradeNode(node: NodeDraft, opset: number, graph: Graph): NodeDraft {
  if (node.domain !== "") return node;
  return (UPGRADES[node.opType] ?? []).reduce((draft, { since, upgrade }) => (opset < since ? upgrade(draft, graph) : draft), node);
}

function axesAsInput(node: NodeDraft, graph: Graph): NodeDraft {
  return intsAttribute(node, "axes") === undefined ? node : moved(node, ["axes"], [intsOperand(node, graph, "axes")]);
}

/** Before opset 13 all axes from `axis` on were one: for the last axis that is the same, else they are made one. */
function oneAxis(node: NodeDraft, graph: Graph): NodeDraft {
  const [x] = node.inputs;
  const axis = intAttribute(node, "axis", 1);
  const rank = x?.shape.length ?? 0;
  if (x === undefined || axis === -1 || x.shape.slice(axis + 1).every((size) => size === 1)) return { ...node, attributes: { ...node.attributes, axis: axis < 0 ? axis : Math.min(axis, rank - 1) } };
  const flat = op(graph, node.opType, [op(graph, "Flatten", [x], { axis })], { axis: -1 });
  return { ...node, opType: "Reshape", inputs: [flat, op(graph, "Shape", [x])], attributes: {} };
}

/** Before opset 21 groups had a scale and a bias, now channels have. */
function channelsOfGroups(node: NodeDraft, graph: Graph): NodeDraft {
  const [x, scale, bias] = node.inputs;
  const [channels, groups] = [x?.shape[1], intAttribute(node, "num_groups", 1)];
  if (x === undefined || typeof channels !== "number") throw new GraphError("GroupNormalization as before opset 21, with a number of channels that varies");
  const spread = (value: Value | undefined): Value | undefined => {
    if (value === undefined) return undefined;
    const ints = (...sizes: number[]): Value => graph.constant("INT64", [sizes.length], sizes.map(BigInt));
    return op(graph, "Reshape", [op(graph, "Expand", [op(graph, "Reshape", [value, ints(groups, 1)]), ints(groups, channels / groups)]), ints(channels)]);
  };
  return { ...node, inputs: [x, spread(scale), spread(bias)] };
}

/** Interpolations got the names that Resize uses. */
function renamedModes(node: NodeDraft): NodeDraft {
  const mode = textAttribute(node, "mode", "bilinear");
  return { ...node, attributes: { ...node.attributes, mode: { bilinear: "linear", bicubic: "cubic" }[mode] ?? mode } };
}

/** Upsample, and Resize of opset 10, scale by `asymmetric` coordinates rounded down. */
function toResize(node: NodeDraft, graph: Graph): NodeDraft {
  const scales = floatsAttribute(node, "scales");
  const operand = node.inputs[1] ?? (scales && graph.constant("FP32", [scales.length], scales));
  const mode = textAttribute(node, "mode", "nearest");
  const attributes = { mode: mode === "bilinear" ? "linear" : mode, coordinate_transformation_mode: "asymmetric", ...(mode === "nearest" ? { nearest_mode: "floor" } : {}) };
  return { ...node, opType: "Resize", inputs: [node.inputs[0], undefined, operand], attributes };
}

/** Before opset 14 a node with more outputs than one normalised by its batch: running statistics, and two more that nobody reads. */
function batchStatistics(node: NodeDraft): NodeDraft {
  if (node.outputCount === 1) return node;
  return { ...node, attributes: { ...node.attributes, training_mode: 1 }, outputCount: Math.min(node.outputCount, 3) };
}

function refuse(node: NodeDraft): NodeDraft {
  throw new GraphError(`${node.opType} in this form has no counterpart in a newer opset`);
}

/** Attributes become inputs. */
function moved(node: NodeDraft, names: readonly string[], operands: readonly (Value | undefined)[]): NodeDraft {
  const attributes = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));
  return { ...node, inputs: [node.inputs[0], ...operands], attributes };
}

function dropped(node: NodeDraft, name: string): NodeDraft {
  return { ...node, attributes: Object.fromEntries(Object.entries(node.attributes).filter(([key]) => key !== name)) };
}

function intsOperand(node: NodeDraft, graph: Graph, name: string): Value | undefined {
  const values = intsAttribute(node, name);
  return values && graph.constant("INT64", [values.length], values.map(BigInt));
}

function floatOperand(node: NodeDraft, graph: Graph, name: string, fallback: number): Value {
  return graph.constant(node.inputs[0]?.datatype ?? "FP32", [], [floatAttribute(node, name, fallback)]);
}

/** What a Constant node holds, in any of its forms. @throws GraphError */
export function constantTensor(node: Pick<NodeDraft, "opType" | "attributes">): ReturnType<typeof tensorOf> {
  const { attributes } = node;
  const value = attributes["value"];
  if (typeof value === "object" && "tensor" in value) return value.tensor;
  if (attributes["value_int"] !== undefined) return tensorOf("INT64", [], [BigInt(intAttribute(node, "value_int", 0))]);
  if (attributes["value_float"] !== undefined) return tensorOf("FP32", [], [floatAttribute(node, "value_float", 0)]);
  const ints = intsAttribute(node, "value_ints");
  if (ints !== undefined) return tensorOf("INT64", [ints.length], ints.map(BigInt));
  const floats = floatsAttribute(node, "value_floats");
  if (floats !== undefined) return tensorOf("FP32", [floats.length], floats);
  const text = attributes["value_string"] ?? attributes["value_strings"];
  if (typeof text === "string") return tensorOf("BYTES", [], [text]);
  if (Array.isArray(text)) return tensorOf("BYTES", [text.length], text as readonly string[]);
  throw new GraphError("a Constant that is no tensor of numbers or texts");
}
