import type { Scope } from "@servable/nn";
import { importGraph, signatureOf, type Dimension, type ImportOptions, type ImportedGraph, type ModelProto, type Value } from "@servable/onnx";
import type { Tensor } from "@servable/tensor";
import { adapted, adaptedWeights, loraA, loraB, loraShape, type LoraFactors, type LoraOptions } from "./lora.ts";
import { selectWeights, type WeightSelection } from "./select-weights.ts";
import { trainingForm } from "./training-form.ts";
import { unrolled } from "./unroll-recurrent.ts";
import { weightsOfModel, type ModelWeight } from "./weight-roles.ts";
import { WeightTracker } from "./weight-tracker.ts";

/** What of an imported model learns. */
export interface TrainableOptions extends WeightSelection, Pick<ImportOptions, "readExternal"> {
  /** Adapters; `train` then means weights that learn besides. @default none */
  readonly lora?: LoraOptions;
  /** Whether dropouts of the model drop while it trains. @default true */
  readonly dropout?: boolean;
  /** Values that stand for inputs of the model; the others become inputs of the network. */
  readonly inputs?: Readonly<Record<string, Value>>;
}

/** What a model's weights become; worked out once for all graphs of a network. */
export interface TrainingPlan {
  readonly model: ModelProto;
  readonly options: TrainableOptions;
  readonly weights: ReadonlyMap<string, ModelWeight>;
  /** Names of weights that become parameters. */
  readonly trained: ReadonlySet<string>;
  /** Names of weights with adapters. */
  readonly adapted: ReadonlySet<string>;
  /** Names of running statistics that move. */
  readonly statistics: ReadonlySet<string>;
}

/**
 * Chooses what of a model is trained.
 *
 * @throws GraphError for patterns that fit no weight, and as importGraph does
 */
export function planTraining(model: ModelProto, options: TrainableOptions = {}): TrainingPlan {
  const weights = weightsOfModel(model, options);
  const trained = selectWeights(weights, options.lora === undefined ? options : { ...options, train: options.train ?? [] });
  const adaptedNames = options.lora === undefined ? new Set<string>() : adaptedWeights(weights, options.lora.target);
  return { model, options, weights, trained, adapted: adaptedNames, statistics: movingStatistics(weights, trained) };
}

/**
 * Takes an imported model into a scope: chosen weights become its parameters under the names that they have in the file, all
 * others stay constants. Batch normalisations whose scale is trained use the batch's statistics while they train and keep
 * running ones as buffers; dropouts drop; recurrent operators are written out in time, in mode `train` only: there alone they
 * need gradients.
 *
 * @throws GraphError for patterns that fit no weight, and as importGraph does
 * @example const { outputs } = trainable(nn, readModel(bytes), { freeze: ["encoder.*"] });
 */
export function trainable(nn: Scope, source: ModelProto | TrainingPlan, options: TrainableOptions = {}): ImportedGraph {
  const plan = "trained" in source ? source : planTraining(source, options);
  const { model, weights, trained, statistics } = plan;
  const { lora, dropout = true, readExternal, inputs: given = {} } = plan.options;
  const tracker = new WeightTracker();
  const inputs = Object.fromEntries(signatureOf(model).inputs.map(({ name, datatype, shape, dimensionNames }) => [name, given[name] ?? nn.input(name, datatype, shape.map((size, axis) => sizeOf(nn, size, dimensionNames[axis] ?? "", `${name}.${axis}`)))]));
  const factors = (name: string): LoraFactors | undefined => {
    const weight = weights.get(name);
    if (lora === undefined || weight === undefined || !plan.adapted.has(name)) return undefined;
    const { a, b, fanIn } = loraShape(weight, lora.rank);
    const bound = 1 / Math.sqrt(fanIn);
    return {
      a: nn.parameter(loraA(name), a, (sizes, random) => Float32Array.from({ length: sizes.reduce((product, size) => product * size, 1) }, () => (2 * random.uniform() - 1) * bound)),
      b: nn.parameter(loraB(name), b, (sizes) => new Float32Array(sizes.reduce((product, size) => product * size, 1))),
    };
  };
  const drop = (x: Value, weight: string): Value => (lora?.dropout === undefined || lora.dropout <= 0 || nn.mode !== "train" ? x : masked(nn, x, `${weight}.lora_dropout`, lora.dropout));
  return importGraph(model, {
    graph: nn.graph,
    inputs,
    ...(readExternal === undefined ? {} : { readExternal }),
    weights: (name, tensor) => (trained.has(name) ? nn.parameter(name, tensor.shape, () => floats(tensor)) : statistics.has(name) ? nn.buffer(name, tensor.shape, () => floats(tensor)) : undefined),
    substitute: (name, value) => {
      if (weights.has(name)) tracker.note(name, value);
      return value;
    },
    rewrite: (node, graph) => tracker.follow(node, graph) ?? trainingForm(nn, node, tracker, statistics, dropout) ?? adapted(graph, node, tracker, factors, lora === undefined ? 1 : (lora.alpha ?? 2 * lora.rank) / lora.rank, drop) ?? (nn.mode === "train" ? unrolled(graph, node) : undefined),
  });
}

function masked(nn: Scope, x: Value, name: string, rate: number): Value {
  const mask = nn.mask(name, x.shape, rate);
  return nn.graph.node("Mul", [x, mask], { datatype: x.datatype, shape: x.shape });
}

/** The size of an input's axis: the file's, the scope's for the name in the file, else one that a run tells. */
function sizeOf(nn: Scope, size: number, name: string, place: string): Dimension {
  if (size >= 0) return size;
  // Names of a file's dimensions do not promise that sizes differ: what is not known by number stays open.
  const open = `?${name === "" ? `#${place}` : name}`;
  return [nn.dimension(open), name === "" ? open : nn.dimension(name)].find((known) => typeof known === "number") ?? open;
}

/** A fresh copy of the first values: trainers write into it. */
function floats({ data }: Tensor): Float32Array {
  // Not data.slice(): a Buffer's shares its memory.
  return new Float32Array(new Uint8Array(data).buffer);
}

function movingStatistics(weights: ReadonlyMap<string, ModelWeight>, trained: ReadonlySet<string>): Set<string> {
  const scales = new Set([...trained].flatMap((name) => weights.get(name)?.uses ?? []).filter(({ operator }) => operator === "BatchNormalization").map(({ node }) => node.outputNames[0]));
  return new Set([...weights.values()].filter(({ statistic, uses }) => statistic && uses.every(({ operator, node }) => operator === "BatchNormalization" && scales.has(node.outputNames[0]))).map(({ name }) => name));
}

