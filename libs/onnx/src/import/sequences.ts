// Lists of tensors exist in ONNX as sequences. Exporters use them for what PyTorch returns as a tuple, so their lengths are
// known while a graph is built: they are kept as lists of values, and no node is left of them.

import { elementsOf } from "@servable/tensor";
import { intAttribute } from "../attributes.ts";
import { GraphError } from "../graph-error.ts";
import type { Attribute, Value } from "../graph.ts";
import type { NodeProto } from "../gen/onnx/onnx_pb.js";
import { contentsIn } from "../infer/contents.ts";
import { op, ops } from "../ops/op.ts";
import { known, type ImportScope } from "./import-scope.ts";

interface SequenceNode {
  readonly proto: NodeProto;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly scope: ImportScope;
}
type Sequence = readonly Value[];

/** Parts that a split may have. */
const PARTS_MAX = 4_096;

/** Operators that make sequences. */
const MAKERS: Readonly<Record<string, (node: SequenceNode) => Sequence>> = {
  SequenceEmpty: () => [],
  SequenceConstruct: ({ proto, scope }) => proto.input.map((name) => known(scope, name)),
  SequenceInsert: (node) => {
    const list = listOf(node, 0);
    const at = node.proto.input[2] === undefined || node.proto.input[2] === "" ? list.length : position(node, 2, list.length + 1);
    return list.toSpliced(at, 0, known(node.scope, node.proto.input[1] ?? ""));
  },
  SequenceErase: (node) => {
    const list = listOf(node, 0);
    return list.toSpliced(node.proto.input[1] === undefined ? list.length - 1 : position(node, 1, list.length), 1);
  },
  SplitToSequence: ({ proto, attributes, scope }) => {
    const { graph } = scope;
    const x = known(scope, proto.input[0] ?? "");
    const stated = intAttribute({ opType: proto.opType, attributes }, "axis", 0);
    const axis = stated < 0 ? stated + x.shape.length : stated;
    const whole = x.shape[axis];
    const operand = proto.input[1] === undefined || proto.input[1] === "" ? undefined : known(scope, proto.input[1]);
    const sizes = operand === undefined ? [1] : contentsIn(graph).of(operand);
    if (sizes?.every((size) => typeof size === "number") !== true) throw new GraphError("the sizes of the parts are not known before a run");
    const each = operand === undefined || operand.shape.length === 0 ? Number(sizes[0]) : undefined;
    if (each !== undefined && (typeof whole !== "number" || each < 1 || whole / each > PARTS_MAX)) throw new GraphError("the number of parts is not known before a run");
    const parts = each === undefined ? sizes.map(Number) : Array.from({ length: Math.ceil(Number(whole) / each) }, (_, index) => Math.min(each, Number(whole) - index * each));
    const values = ops(graph, "Split", [x, graph.constant("INT64", [parts.length], parts.map(BigInt))], { axis }, { outputCount: parts.length });
    if (operand !== undefined || intAttribute({ opType: proto.opType, attributes }, "keepdims", 1) === 1) return values;
    return values.map((value) => op(graph, "Squeeze", [value, graph.constant("INT64", [1], [BigInt(axis)])]));
  },
};

/** Operators that make a tensor of a sequence. */
const READERS: Readonly<Record<string, (node: SequenceNode) => Value>> = {
  SequenceAt: (node) => {
    const list = listOf(node, 0);
    return list[position(node, 1, list.length)] as Value;
  },
  SequenceLength: (node) => node.scope.graph.constant("INT64", [], [BigInt(listOf(node, 0).length)]),
  ConcatFromSequence: (node) => {
    const list = listOf(node, 0);
    const { scope: { graph }, attributes } = node;
    const axis = intAttribute({ opType: "ConcatFromSequence", attributes }, "axis", 0);
    if (intAttribute({ opType: "ConcatFromSequence", attributes }, "new_axis", 0) === 0) return op(graph, "Concat", list, { axis });
    const axes = graph.constant("INT64", [1], [BigInt(axis)]);
    return op(graph, "Concat", list.map((value) => op(graph, "Unsqueeze", [value, axes])), { axis });
  },
};

/** What a node makes with sequences, undefined for other nodes; a sequence it makes is noted in the scope. */
export function sequenceOutputs(proto: NodeProto, attributes: Readonly<Record<string, Attribute>>, scope: ImportScope): readonly (Value | undefined)[] | undefined {
  const node: SequenceNode = { proto, attributes, scope };
  const [output = ""] = proto.output;
  const maker = MAKERS[proto.opType] ?? (proto.opType === "Identity" && sequenceOf(scope, proto.input[0] ?? "") !== undefined ? () => listOf(node, 0) : undefined);
  if (maker !== undefined) {
    scope.sequences.set(output, maker(node));
    return [];
  }
  const reader = READERS[proto.opType];
  return reader === undefined ? undefined : [reader(node)];
}

/** Whether an operand is a sequence, which no tensor operand can be. */
export function isSequenceNode({ opType, input }: NodeProto, scope: ImportScope): boolean {
  return opType in MAKERS || opType in READERS || (opType === "Identity" && sequenceOf(scope, input[0] ?? "") !== undefined);
}

function sequenceOf(scope: ImportScope, name: string): Sequence | undefined {
  for (let at: ImportScope | undefined = scope; at !== undefined; at = at.outer) {
    const list = at.sequences.get(name);
    if (list !== undefined) return list;
  }
  return undefined;
}

function listOf({ proto, scope }: SequenceNode, index: number): Sequence {
  const list = sequenceOf(scope, proto.input[index] ?? "");
  if (list === undefined) throw new GraphError(`the sequence "${proto.input[index] ?? ""}" is not known before a run`);
  return list;
}

function position({ proto, scope }: SequenceNode, index: number, count: number): number {
  const value = known(scope, proto.input[index] ?? "");
  const tensor = scope.graph.initializers.get(value.name)?.tensor;
  const stated = tensor === undefined ? contentsIn(scope.graph).of(value)?.[0] : Number(elementsOf(tensor)[0]);
  const at = typeof stated === "number" && stated < 0 ? stated + count : stated;
  if (typeof at !== "number" || !Number.isInteger(at) || at < 0 || at >= count) throw new GraphError(`the place in a sequence of ${count} is not known before a run, or not in it`);
  return at;
}
