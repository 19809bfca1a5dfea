// Adapters travel apart from their model: a few kilobytes of factors with the rank and alpha they were made for. They are
// put beside the weights of a model again, or into them.

import { GraphError, buildModel, importGraph, replaceWeights, type Graph, type ImportOptions, type ModelProto, type Value } from "@servable/onnx";
import { elementsOf, type Tensor } from "@servable/tensor";
import { adapted, isTurned, loraA, loraB, loraShape, type LoraFactors, type LoraOptions } from "./lora.ts";
import { weightsOfModel, type ModelWeight } from "./weight-roles.ts";
import { WeightTracker } from "./weight-tracker.ts";

/** Factors by "<weight>.lora_A" and "<weight>.lora_B", and what they need to be used; the form of a safetensors file. */
export interface LoraAdapters {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** `format` "servable-lora", `rank`, `alpha`. */
  readonly metadata: Readonly<Record<string, string>>;
}

const FORMAT = "servable-lora";

/** The adapters among a trainer's weights. @throws GraphError when there are none */
export function adaptersOf(weights: ReadonlyMap<string, Float32Array>, model: ModelProto, { rank, alpha = 2 * rank }: LoraOptions, options: Pick<ImportOptions, "readExternal"> = {}): LoraAdapters {
  const tensors = new Map<string, Tensor>();
  for (const [name, weight] of weightsOfModel(model, options)) {
    const [a, b] = [weights.get(loraA(name)), weights.get(loraB(name))];
    if (a === undefined || b === undefined) continue;
    const shape = loraShape(weight, rank);
    tensors.set(loraA(name), floatTensor(shape.a, a));
    tensors.set(loraB(name), floatTensor(shape.b, b));
  }
  if (tensors.size === 0) throw new GraphError("there are no adapters among the weights");
  return { tensors, metadata: { format: FORMAT, rank: String(rank), alpha: String(alpha) } };
}

/**
 * The model with the adapters beside its weights: each answer costs two more small products, and other adapters can be put in
 * their place.
 *
 * @throws GraphError for adapters of another model: weights that are missing or of other shapes
 */
export function applyLora(model: ModelProto, adapters: LoraAdapters, options: Pick<ImportOptions, "readExternal"> = {}): Uint8Array {
  const { weights, scale } = checked(model, adapters, options);
  const tracker = new WeightTracker();
  const made = new Map<string, LoraFactors>();
  const factors = (graph: Graph, name: string): LoraFactors | undefined => {
    const known = made.get(name);
    const weight = weights.get(name);
    if (known !== undefined || weight === undefined) return known;
    const factor = (key: string): Value => graph.weight(key, adapters.tensors.get(key) as Tensor);
    const pair = { a: factor(loraA(name)), b: factor(loraB(name)) };
    made.set(name, pair);
    return pair;
  };
  const { graph, outputs } = importGraph(model, {
    ...options,
    substitute: (name, value) => {
      if (weights.has(name)) tracker.note(name, value);
      return value;
    },
    rewrite: (node, graph) => tracker.follow(node, graph) ?? adapted(graph, node, tracker, (name) => factors(graph, name), scale),
  });
  return buildModel({ graph, outputs: Object.fromEntries(outputs) });
}

/**
 * The model with the adapters added into its weights, W + s·A·B: as fast and as large as it was.
 *
 * @throws GraphError for adapters of another model
 */
export function mergeLora(model: ModelProto, adapters: LoraAdapters, options: Pick<ImportOptions, "readExternal"> = {}): ModelProto {
  const { weights, scale } = checked(model, adapters, options);
  return replaceWeights(model, new Map([...weights].map(([name, weight]) => [name, merged(weight, adapters.tensors.get(loraA(name)) as Tensor, adapters.tensors.get(loraB(name)) as Tensor, scale)])));
}

interface Checked {
  /** The weights that have adapters. */
  readonly weights: ReadonlyMap<string, ModelWeight>;
  readonly scale: number;
}

function checked(model: ModelProto, { tensors, metadata }: LoraAdapters, options: Pick<ImportOptions, "readExternal">): Checked {
  const [rank, alpha] = [Number(metadata["rank"]), Number(metadata["alpha"])];
  if (metadata["format"] !== FORMAT || !Number.isInteger(rank) || rank < 1 || !Number.isFinite(alpha)) throw new GraphError(`these are no adapters: their metadata must say format "${FORMAT}", rank and alpha`);
  const all = weightsOfModel(model, options);
  const names = [...tensors.keys()].filter((name) => name.endsWith(".lora_A")).map((name) => name.slice(0, -".lora_A".length));
  const weights = new Map(names.map((name) => {
    const weight = all.get(name);
    if (weight === undefined) throw new GraphError(`the adapters are of another model: this one has no weight "${name}"`);
    const shape = loraShape(weight, rank);
    for (const [key, want] of [[loraA(name), shape.a], [loraB(name), shape.b]] as const) {
      const got = tensors.get(key);
      if (got?.datatype !== "FP32" || got.shape.join() !== want.join()) throw new GraphError(`the adapter "${key}" must be FP32[${want.join()}], it is ${got === undefined ? "missing" : `${got.datatype}[${got.shape.join()}]`}`);
    }
    return [name, weight];
  }));
  if (weights.size === 0) throw new GraphError("there are no adapters to put beside the model");
  return { weights, scale: alpha / rank };
}

/** W + s·A·B, in the order in which the file keeps W. */
function merged({ tensor, uses: [use] }: ModelWeight, a: Tensor, b: Tensor, scale: number): Tensor {
  const [left, right] = [elementsOf(a) as number[], elementsOf(b) as number[]];
  const sums = Float64Array.from(elementsOf(tensor) as number[]);
  const rank = use?.operator === "Conv" ? (a.shape[0] ?? 1) : (a.shape[1] ?? 1);
  if (use?.operator === "Conv") {
    // W [out, columns], b [out, rank], a [rank, columns]
    const columns = left.length / rank;
    for (let row = 0; row < right.length / rank; row++) {
      for (let r = 0; r < rank; r++) for (let column = 0; column < columns; column++) sums[row * columns + column] = (sums[row * columns + column] ?? 0) + scale * (right[row * rank + r] ?? 0) * (left[r * columns + column] ?? 0);
    }
    return floatTensor(tensor.shape, Float32Array.from(sums));
  }
  const [inputs, outputs] = [left.length / rank, right.length / rank];
  const turned = use !== undefined && isTurned(use.node, use.transposed);
  for (let row = 0; row < inputs; row++) {
    for (let column = 0; column < outputs; column++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += (left[row * rank + r] ?? 0) * (right[r * outputs + column] ?? 0);
      const at = turned ? column * inputs + row : row * outputs + column;
      sums[at] = (sums[at] ?? 0) + scale * sum;
    }
  }
  return floatTensor(tensor.shape, Float32Array.from(sums));
}

function floatTensor(shape: readonly number[], values: Float32Array): Tensor {
  const copy = values.slice();
  return { datatype: "FP32", shape, data: new Uint8Array(copy.buffer) };
}
