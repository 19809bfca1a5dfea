import { gradients } from "@servable/autodiff";
import { buildModel, type Value } from "@servable/onnx";
import { Scope, binaryCrossEntropy, mlp, softmaxCrossEntropy } from "@servable/nn";
import ort from "onnxruntime-node";
import type { LearningProblem } from "./learning-problem.ts";

/** One batch: features and targets in memory that the network owns and reuses. */
export interface Batch {
  /** [rows, width] */
  readonly features: Float32Array;
  /** [rows, outputs]: 0 or 1 for two classes, one-hot for more. */
  readonly targets: Float32Array;
  readonly rows: number;
}

/**
 * A network under training. Its parameters lie in one arena that is fed to onnxruntime as it is (inputs are not copied), so
 * an optimiser that writes there trains the next step without a new session.
 */
export interface Network {
  /** All parameters, one behind the other. */
  readonly arena: Float32Array;
  /** Loss of a batch; the gradients of all parameters are left in `gradients`. */
  step(batch: Batch, gradients: Float32Array): Promise<number>;
  /** Loss and logits [rows, outputs] of a batch. */
  evaluate(batch: Batch): Promise<{ loss: number; logits: Float32Array }>;
  /** The trained model with its preprocessing, as ONNX bytes: raw inputs in, classes out. */
  export(problem: LearningProblem): Uint8Array;
}

/** Sizes of the network. */
export interface NetworkShape {
  readonly inputs: number;
  readonly hidden: readonly number[];
  readonly outputs: number;
}

/** Builds the training graph (forward, loss, backward) and its sessions. */
export async function createNetwork(shape: NetworkShape, seed: number): Promise<Network> {
  const { training, evaluation, parameters: specs } = buildGraphs(shape, seed);
  const parameters = specs.map(({ name, shape: dims, initial }) => ({ name, shape: dims, values: initial() }));
  const arena = new Float32Array(parameters.reduce((sum, { values }) => sum + values.length, 0));
  const offsets: number[] = [];
  parameters.reduce((offset, { values }) => {
    offsets.push(offset);
    arena.set(values, offset);
    return offset + values.length;
  }, 0);
  const viewOf = (index: number): Float32Array => arena.subarray(offsets[index], (offsets[index] ?? 0) + (parameters[index]?.values.length ?? 0));
  const feeds = Object.fromEntries(parameters.map(({ name, shape: dims }, index) => [name, new ort.Tensor("float32", viewOf(index), [...dims])]));

  const options: ort.InferenceSession.SessionOptions = { intraOpNumThreads: 1, graphOptimizationLevel: "extended", logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: "0" } } } };
  const trainer = await ort.InferenceSession.create(training, options);
  const evaluator = await ort.InferenceSession.create(evaluation, options);
  const inputs = ({ features, targets, rows }: Batch) => ({
    ...feeds,
    x: new ort.Tensor("float32", features.subarray(0, rows * shape.inputs), [rows, shape.inputs]),
    t: new ort.Tensor("float32", targets.subarray(0, rows * shape.outputs), [rows, shape.outputs]),
  });
  return {
    arena,
    async step(batch, into) {
      const results = await trainer.run(inputs(batch));
      parameters.forEach(({ name }, index) => into.set(results[`d.${name}`]?.data as Float32Array, offsets[index]));
      return results["loss"]?.data[0] as number;
    },
    async evaluate(batch) {
      const { loss, logits } = await evaluator.run(inputs(batch));
      return { loss: loss?.data[0] as number, logits: logits?.data as Float32Array };
    },
    export(problem) {
      const places = new Map(parameters.map(({ name }, index) => [name, index]));
      const nn = new Scope({ mode: "infer", weights: (name) => viewOf(places.get(name) ?? -1).slice() });
      const logits = mlp(nn, problem.inputs(nn.graph), shape);
      return buildModel({ graph: nn.graph, name: "servable_training", outputs: problem.outputs(nn.graph, logits) });
    },
  };
}

function buildGraphs(shape: NetworkShape, seed: number) {
  const nn = new Scope({ mode: "train", seed });
  const { graph } = nn;
  const x = graph.input("x", "FP32", ["batch", shape.inputs]);
  const t = graph.input("t", "FP32", ["batch", shape.outputs]);
  const logits = mlp(nn, x, shape);
  const { parameters } = nn;
  const values = parameters.map(({ value }) => value);
  const loss = (shape.outputs === 1 ? binaryCrossEntropy : softmaxCrossEntropy)(graph, logits, t);
  const evaluation = buildModel({ graph, outputs: { loss, logits } });
  const grads = gradients(graph, loss, values);
  const training = buildModel({ graph, outputs: { loss, ...Object.fromEntries(values.map(({ name }, index) => [`d.${name}`, grads[index] as Value])) } });
  return { training, evaluation, parameters };
}
