// Integrated Gradients as one ONNX graph: points of the path, the model on all of them as one batch, the gradient of the
// chosen output, and the weighted sum. Only the attributions of a batch of points leave the graph, never activations.
//
// Source: Sundararajan, Taly & Yan, Axiomatic Attribution for Deep Networks (2017), equation 1:
//   attribution = (x - baseline) · ∫ ∂f(baseline + α (x - baseline)) / ∂x dα

import { gradients, isDifferentiablePath } from "@servable/autodiff";
import { ELEMENT_TYPES, Graph, GraphError, add, buildModel, cast, importGraph, mul, reduceSum, signatureOf, sub, type Dimension, type ImportOptions, type ModelProto, type Value } from "@servable/onnx";
import { defaultEntries, entriesOf, type Entry } from "./entries.ts";

/** What the graph explains, and how. */
export interface IntegratedGradientsOptions {
  /** Output that holds the explained number. @default the first output of real numbers */
  readonly output?: string;
  /** Inputs to explain. @default see {@link defaultEntries} */
  readonly inputs?: readonly string[];
  /** Whether several points of the path fit in one run. @default when inputs and output have a varying first dimension */
  readonly batched?: boolean;
  readonly readExternal?: ImportOptions["readExternal"];
}

/**
 * The graph with what its runner needs to know.
 *
 * Inputs: `servable.alphas`, `servable.weights` [points] FP32; `servable.target` INT64 [1]; every input of the model, one
 * example; for an explained input NAME also `NAME.baseline`, and for an embedded one `NAME.baseline_scale` [] FP32, 0 = the
 * baseline is an embedding of zeros.
 * Outputs: `servable.scores` [points]; `NAME.attribution`, the part of these points.
 */
export interface IntegratedGradientsGraph {
  readonly bytes: Uint8Array;
  readonly output: string;
  readonly entries: readonly Entry[];
  /** False: one point a run. */
  readonly batched: boolean;
}

/** Names of the graph's own inputs and outputs. */
export const PATH = { alphas: "servable.alphas", weights: "servable.weights", target: "servable.target", scores: "servable.scores" } as const;

/**
 * Builds the graph.
 *
 * @throws GraphError naming operator and node where the model has no gradient, or the input where none enters smoothly
 */
export function buildIntegratedGradients(model: ModelProto, options: IntegratedGradientsOptions = {}): IntegratedGradientsGraph {
  const signature = signatureOf(model);
  const output = options.output ?? signature.outputs.find(({ datatype }) => datatype.startsWith("FP"))?.name;
  const target = signature.outputs.find(({ name }) => name === output);
  if (output === undefined || target === undefined) throw new GraphError(`the model has no output "${output ?? "of real numbers"}"`);
  const entries = chosenEntries(model, options.inputs);
  const varies = ({ shape }: { readonly shape: readonly number[] }): boolean => shape[0] === -1;
  const batched = options.batched ?? (signature.inputs.every(varies) && varies(target));

  const graph = new Graph("servable.");
  const path = new Path(graph, batched);
  for (const spec of signature.inputs) path.addExample(spec.name, spec.datatype, spec.shape.map((size, axis): Dimension => (batched && axis === 0 ? 1 : size >= 0 ? size : `${spec.name}.${axis}`)));
  const { outputs } = importGraph(model, {
    graph,
    inputs: Object.fromEntries(signature.inputs.map(({ name }) => [name, path.pointsOf(name, entries)])),
    substitute: (name, value) => {
      const entry = entries.find((each) => each.kind !== "real" && each.value === name);
      return entry === undefined ? value : path.enterAt(entry, value);
    },
    ...(options.readExternal === undefined ? {} : { readExternal: options.readExternal }),
  });

  const y = outputs.get(output) as Value;
  // y: [points, …] → [points, all], or one example's elements in one row.
  const rows = graph.node("Reshape", [y, graph.constant("INT64", [2], batched ? [0n, -1n] : [1n, -1n])], { datatype: y.datatype, shape: ["?points", "?elements"] });
  const score = graph.node("Gather", [rows, path.target], { datatype: y.datatype, shape: ["?points", 1] }, { axis: 1 });
  const loss = reduceSum(graph, score, [0, 1]);
  const unreached = path.entered.find(({ points }) => !isDifferentiablePath(graph, loss, points));
  if (unreached !== undefined) throw new GraphError(`no gradient leads from output "${output}" to input "${unreached.entry.input.name}"`);
  const grads = gradients(graph, loss, path.entered.map(({ points }) => points));
  const scores = graph.node("Reshape", [cast(graph, score, "FP32", ELEMENT_TYPES.FP32), graph.constant("INT64", [1], [-1n])], { datatype: "FP32", shape: ["?points"] });
  const attributions = path.entered.map((entered, index) => [`${entered.entry.input.name}.attribution`, path.attribution(entered, grads[index] as Value)] as const);
  return { bytes: buildModel({ graph, name: "integrated_gradients", outputs: { [PATH.scores]: scores, ...Object.fromEntries(attributions) } }), output, entries, batched };
}

function chosenEntries(model: ModelProto, names: readonly string[] | undefined): readonly Entry[] {
  const all = entriesOf(model);
  if (names === undefined || names.length === 0) {
    const entries = defaultEntries(all);
    if (entries.length === 0) throw new GraphError("no input leads to real numbers by an embedding or a Cast");
    return entries;
  }
  return names.map((name) => {
    const entry = all.find(({ input }) => input.name === name);
    if (entry === undefined) throw new GraphError(`input "${name}" does not lead to real numbers by an embedding or a Cast`);
    return entry;
  });
}

interface Entered {
  readonly entry: Entry;
  /** x - baseline at the entry, one example. */
  readonly difference: Value;
  /** The points of the path; gradients are taken with respect to them. */
  readonly points: Value;
}

/** The part of the graph in front of the model. */
class Path {
  readonly entered: Entered[] = [];
  readonly target: Value;
  readonly #graph: Graph;
  readonly #batched: boolean;
  readonly #alphas: Value;
  readonly #weights: Value;
  readonly #examples = new Map<string, Value>();

  constructor(graph: Graph, batched: boolean) {
    this.#graph = graph;
    this.#batched = batched;
    this.#alphas = graph.input(PATH.alphas, "FP32", [batched ? "points" : 1]);
    this.#weights = graph.input(PATH.weights, "FP32", [batched ? "points" : 1]);
    this.target = graph.input(PATH.target, "INT64", [1]);
  }

  addExample(name: string, datatype: Value["datatype"], shape: readonly Dimension[]): void {
    this.#examples.set(name, this.#graph.input(name, datatype, shape));
  }

  /** What the model gets for an input: points of the path, or the example as often. */
  pointsOf(name: string, entries: readonly Entry[]): Value {
    const example = this.#example(name);
    const entry = entries.find(({ input }) => input.name === name);
    if (entry !== undefined) {
      const baseline = this.#graph.input(`${name}.baseline`, example.datatype, example.shape);
      if (entry.kind === "real") return this.#enter(entry, example, baseline);
    }
    if (!this.#batched) return example;
    const graph = this.#graph;
    const count = graph.node("Shape", [this.#alphas], { datatype: "INT64", shape: [1] });
    const rest = graph.node("Shape", [example], { datatype: "INT64", shape: [example.shape.length - 1] }, { start: 1 });
    const sizes = example.shape.length === 1 ? count : graph.node("Concat", [count, rest], { datatype: "INT64", shape: [example.shape.length] }, { axis: 0 });
    return graph.node("Expand", [example, sizes], { datatype: example.datatype, shape: ["?points", ...example.shape.slice(1).map(open)] });
  }

  /** The points in the place of what an embedding or a Cast gave for the example. */
  enterAt(entry: Entry, value: Value): Value {
    const graph = this.#graph;
    const made = graph.nodes.find(({ outputs }) => outputs.includes(value));
    const baseline = graph.inputs.find(({ name }) => name === `${entry.input.name}.baseline`);
    if (made === undefined || baseline === undefined) throw new GraphError(`input "${entry.input.name}" does not reach "${entry.value}"`);
    const example = this.#example(entry.input.name);
    // The same node once more, on one example and on the baseline.
    const again = (operand: Value): Value => {
      const { datatype } = value;
      if (entry.kind === "cast") return graph.node("Cast", [operand], { datatype, shape: operand.shape }, made.attributes);
      return graph.node("Gather", [made.inputs[0], operand], { datatype, shape: [...operand.shape, ...value.shape.slice(operand.shape.length)] }, made.attributes);
    };
    if (entry.kind === "cast") return this.#enter(entry, again(example), again(baseline));
    const scale = graph.input(`${entry.input.name}.baseline_scale`, "FP32", []);
    return this.#enter(entry, again(example), mul(graph, again(baseline), cast(graph, scale, value.datatype, ELEMENT_TYPES[value.datatype])));
  }

  /** (x - baseline) · Σ weight · gradient: the part of these points, as large as one example's input. */
  attribution({ entry, difference }: Entered, gradient: Value): Value {
    const graph = this.#graph;
    const rank = difference.shape.length;
    const weighted = mul(graph, gradient, this.#alongPoints(this.#weights, gradient, rank));
    const summed = this.#batched ? reduceSum(graph, weighted, [0], true) : weighted;
    const elements = mul(graph, difference, summed);
    const inner = Array.from({ length: rank - entry.input.shape.length }, (_, index) => entry.input.shape.length + index);
    return cast(graph, inner.length === 0 ? elements : reduceSum(graph, elements, inner), "FP32", ELEMENT_TYPES.FP32);
  }

  #enter(entry: Entry, x: Value, baseline: Value): Value {
    const graph = this.#graph;
    const difference = sub(graph, x, baseline);
    const moved = add(graph, baseline, mul(graph, this.#alongPoints(this.#alphas, x, x.shape.length), difference));
    // Sizes of the path are the model's: its own names for them say nothing about ours.
    const shape = this.#batched ? ["?points", ...x.shape.slice(1).map(open)] : x.shape.map(open);
    const points = graph.node("Identity", [moved], { datatype: moved.datatype, shape });
    this.entered.push({ entry, difference, points });
    return points;
  }

  /** [points] as [points, 1, …], which broadcasts over examples. */
  #alongPoints(values: Value, like: Value, rank: number): Value {
    const graph = this.#graph;
    const typed = cast(graph, values, like.datatype, ELEMENT_TYPES[like.datatype]);
    if (!this.#batched) return graph.node("Reshape", [typed, graph.constant("INT64", [0], [])], { datatype: like.datatype, shape: [] });
    return graph.node("Reshape", [typed, graph.constant("INT64", [rank], [-1n, ...Array.from({ length: rank - 1 }, () => 1n)])], { datatype: like.datatype, shape: ["?points", ...Array.from({ length: rank - 1 }, () => 1)] });
  }

  #example(name: string): Value {
    const example = this.#examples.get(name);
    if (example === undefined) throw new GraphError(`the model has no input "${name}"`);
    return example;
  }
}

/** A named size as one that imported nodes can broadcast with. */
const open = (size: Dimension): Dimension => (typeof size === "number" ? size : size.startsWith("?") ? size : `?${size}`);
