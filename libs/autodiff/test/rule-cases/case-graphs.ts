// Many cases in one graph: a session for each case takes longer to make than everything that is computed.

import { Graph, OPSET, add, buildModel, cast, importGraph, mod, mul, readModel, reduceSum, reshape, type GraphNode, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { gradients } from "../../src/index.ts";
import { places } from "../../src/rules/indexing.ts";
import { isShape, shapesOf, type RuleCase } from "./rule-case.ts";

/** The one-node models state no shape of their output, which onnxruntime remarks upon. */
const QUIET = { logSeverityLevel: 3, intraOpNumThreads: 1, graphOptimizationLevel: "disabled" } as const;

/** What one case gave. */
export interface CaseResult {
  readonly loss: number;
  readonly gradients: readonly (readonly number[])[];
  readonly outputs: readonly { readonly values: readonly number[]; readonly shape: readonly number[]; readonly inferred: readonly (number | string)[] }[];
}

/** Cases built together. */
export interface CaseGraphs {
  /** Why a case could not be built. */
  errorOf(rule: RuleCase): unknown;
  /** Losses of all cases at their points. */
  losses(points: ReadonlyMap<RuleCase, readonly (readonly number[])[]>): Promise<ReadonlyMap<RuleCase, number>>;
  results(points: ReadonlyMap<RuleCase, readonly (readonly number[])[]>): Promise<ReadonlyMap<RuleCase, CaseResult>>;
}

/** To make a session takes more than twice as long for twice as many nodes. */
const GROUP_CASES = 60;

/** Builds all cases, with sizes known beforehand or only to the run. */
export async function buildCases(cases: readonly RuleCase[], open: boolean): Promise<CaseGraphs> {
  const opsets = [...new Set(cases.map(({ opset }) => opset ?? OPSET))].map((opset) => cases.filter((rule) => (rule.opset ?? OPSET) === opset));
  const groups: Awaited<ReturnType<typeof buildGroup>>[] = [];
  for (const same of opsets) for (let from = 0; from < same.length; from += GROUP_CASES) groups.push(await buildGroup(same.slice(from, from + GROUP_CASES), same[0]?.opset ?? OPSET, open));
  return {
    errorOf: (rule) => groups.map(({ errors }) => errors.get(rule)).find((error) => error !== undefined),
    losses: async (points) => new Map((await Promise.all(groups.map((group) => group.losses(points)))).flatMap((losses) => [...losses])),
    results: async (points) => new Map((await Promise.all(groups.map((group) => group.results(points)))).flatMap((results) => [...results])),
  };
}

/** The nodes that a case's gradients are made of. */
export function caseNodes(rule: RuleCase, open: boolean): readonly GraphNode[] {
  const graph = new Graph();
  const inputs = shapesOf(rule).map((_, at) => graph.input(`x.${at}`, "FP32", openShapes(rule, open, "c")[at] ?? []));
  const model = importGraph(readModel(modelOf(rule, open, "c")), { graph, inputs: Object.fromEntries(namesOf(rule).map((name, at) => [name, inputs[at] as Value])) });
  const loss = [...model.outputs.values()].map((y, at) => weighted(graph, y, at)).reduce((total, sum) => add(graph, total, sum));
  const forward = graph.nodes.length;
  gradients(graph, loss, inputs);
  return graph.nodes.slice(forward);
}

interface Built {
  readonly rule: RuleCase;
  readonly key: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly loss: Value;
  readonly grads: readonly Value[];
}

async function buildGroup(cases: readonly RuleCase[], opset: number, open: boolean): Promise<CaseGraphs & { errors: ReadonlyMap<RuleCase, unknown> }> {
  const [forward, backward] = [new Graph(), new Graph()];
  forward.opset = backward.opset = opset;
  const errors = new Map<RuleCase, unknown>();
  // Differences take hundreds of runs: their graph gets the numbers of all cases as one tensor.
  const sizes = cases.flatMap((rule) => shapesOf(rule).map(sizeOfShape));
  const parts = [...forward.nodeOf("Split", [forward.input("all", "FP32", [sizes.reduce((sum, size) => sum + size, 0)]), forward.constant("INT64", [sizes.length], sizes.map(BigInt))], sizes.map((size) => ({ datatype: "FP32", shape: [size] })), { axis: 0 })] as Value[];
  const build = (rule: RuleCase, index: number, graph: Graph, differentiate: boolean): Built[] => {
    const key = `c${index}`;
    const own = graph === forward ? parts.splice(0, shapesOf(rule).length) : [];
    try {
      const inputs = shapesOf(rule).map((shape, at) => (own[at] === undefined ? graph.input(`${key}.x${at}`, "FP32", openShapes(rule, open, key)[at] ?? []) : reshape(graph, own[at], shape)));
      const bytes = modelOf(rule, open, key);
      const model = importGraph(readModel(bytes), { graph, inputs: Object.fromEntries(namesOf(rule).map((name, at) => [name, inputs[at] as Value])) });
      const outputs = [...model.outputs.values()];
      const loss = outputs.map((y, at) => weighted(graph, y, at)).reduce((total, sum) => add(graph, total, sum));
      return [{ rule, key, inputs, outputs, loss, grads: differentiate ? gradients(graph, loss, inputs) : [] }];
    } catch (error) {
      errors.set(rule, error);
      return [];
    }
  };
  const rows = cases.flatMap((rule, index) => build(rule, index, forward, false));
  const sums = forward.node("Concat", rows.map(({ loss }) => forward.node("Reshape", [loss, forward.constant("INT64", [1], [1n])], { datatype: "FP32", shape: [1] })), { datatype: "FP32", shape: [rows.length] }, { axis: 0 });
  const built = cases.flatMap((rule, index) => build(rule, index, backward, true));
  const named = built.flatMap(({ key, loss, grads, outputs }) => [[`${key}.loss`, loss], ...grads.map((value, at) => [`${key}.d${at}`, value]), ...outputs.map((value, at) => [`${key}.y${at}`, value])] as [string, Value][]);
  const [slow, fast] = await Promise.all([ort.InferenceSession.create(buildModel({ graph: backward, outputs: Object.fromEntries(named) }), QUIET), ort.InferenceSession.create(buildModel({ graph: forward, outputs: { losses: sums } }), QUIET)]);
  // Inputs of cases that could not be built are inputs all the same.
  const feeds = (points: ReadonlyMap<RuleCase, readonly (readonly number[])[]>): Record<string, ort.Tensor> => {
    const known = new Set(backward.inputs.map(({ name }) => name));
    const all = cases.flatMap((rule, index) => shapesOf(rule).map((shape, at) => [`c${index}.x${at}`, new ort.Tensor("float32", Float32Array.from(points.get(rule)?.[at] ?? []), [...shape])] as const));
    return Object.fromEntries(all.filter(([name]) => known.has(name)));
  };
  return {
    errors,
    errorOf: (rule) => errors.get(rule),
    losses: async (points) => {
      const all = Float32Array.from(cases.flatMap((rule) => (points.get(rule) ?? []).flat()));
      const { losses } = await fast.run({ all: new ort.Tensor("float32", all, [all.length]) });
      return new Map(rows.map(({ rule }, at) => [rule, Number(losses?.data[at])]));
    },
    results: async (points) => {
      const results = await slow.run(feeds(points));
      const numbers = (name: string): number[] => Array.from((results[name] as ort.Tensor).data as Float32Array, Number);
      return new Map(built.map(({ rule, key, grads, outputs }) => [rule, { loss: numbers(`${key}.loss`)[0] ?? NaN, gradients: grads.map((_, at) => numbers(`${key}.d${at}`)), outputs: outputs.map(({ shape }, at) => ({ values: numbers(`${key}.y${at}`), shape: results[`${key}.y${at}`]?.dims ?? [], inferred: shape })) }]));
    },
  };
}

/** Σ y·sin(7.3 + 1.7·(place mod 13) + output): every element of every output has a gradient of its own. */
function weighted(graph: Graph, y: Value, at: number): Value {
  return reduceSum(graph, mul(graph, y, weightsLike(graph, y, 7.3 + at)), y.shape.map((_, axis) => axis));
}

function weightsLike(graph: Graph, y: Value, shift: number): Value {
  const shape = y.shape.filter((size) => typeof size === "number");
  if (shape.length === y.shape.length) return graph.constant("FP32", shape, Array.from({ length: sizeOfShape(shape) }, (_, index) => Math.sin(1.7 * (index % 13) + shift)));
  const place = cast(graph, mod(graph, places(graph, y), graph.constant("INT64", [], [13n])), "FP32");
  const angle = add(graph, mul(graph, place, graph.constant("FP32", [], [1.7])), graph.constant("FP32", [], [shift]));
  return graph.node("Sin", [angle], { datatype: "FP32", shape: y.shape });
}

const sizeOfShape = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const namesOf = ({ operands }: RuleCase): string[] => operands.flatMap((operand, index) => (isShape(operand) ? [`x${index}`] : []));

function openShapes(rule: RuleCase, open: boolean, key: string): (readonly (number | string)[])[] {
  const opType = rule.op.split("::").at(-1) ?? "";
  return rule.operands.flatMap((operand, index) => (isShape(operand) ? [open ? operand.map((size, axis) => openSize(opType, index, size, axis)).map((size) => (typeof size === "string" ? `?${key}.${size}` : size)) : operand] : []));
}

/** Weights of convolutions and channel counts are known in every real model; batches and spatial sizes vary. */
function openSize(opType: string, operand: number, size: number, axis: number): number | string {
  const keeps = (opType.startsWith("Conv") && (operand > 0 || axis === 1)) || (opType === "AveragePool" && axis === 1) || (opType.endsWith("Normalization") && operand > 0) || (opType === "Squeeze" && size === 1) || (opType === "Attention" && axis % 2 === 1);
  return keeps ? size : `x${operand}_${axis}`;
}

/** A model of one node, read back as a stranger's would be. */
function modelOf(rule: RuleCase, open: boolean, key: string): Uint8Array {
  const { op, operands, attributes = {}, outputCount = 1, lossOutputs = op === "Split" ? outputCount : 1, opset } = rule;
  const graph = new Graph();
  if (opset !== undefined) graph.opset = opset;
  const [domain, opType] = op.includes("::") ? (op.split("::") as [string, string]) : ["", op];
  const inputs = operands.map((operand, index): Value | undefined => {
    if (operand === undefined) return undefined;
    return isShape(operand) ? graph.input(`x${index}`, "FP32", open ? operand.map((size, axis) => openSize(opType, index, size, axis)) : operand) : graph.weight(`${key}.constant${index}`, operand);
  });
  if (opType.endsWith("uantizeLinear")) {
    const quantized = graph.node("QuantizeLinear", inputs, { datatype: "UINT8", shape: ["?"] });
    return buildModel({ graph, outputs: { y0: graph.node("DequantizeLinear", [quantized, ...inputs.slice(1)], { datatype: "FP32", shape: ["?"] }) } });
  }
  const outputs = graph.nodeOf(opType, inputs, Array.from({ length: outputCount }, (_, index) => ({ datatype: "FP32" as const, shape: ["?"], name: `y${index}` })), attributes, domain);
  return buildModel({ graph, outputs: Object.fromEntries(outputs.slice(0, lossOutputs).map((value, index) => [`y${index}`, value as Value])) });
}
