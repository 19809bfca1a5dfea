import type { Scope } from "@servable/nn";
import { GraphError, add, matMul, reduceMean, slice, squeeze, type ModelProto, type NodeProto, type Value } from "@servable/onnx";

/** A fresh classifier on a value of an imported model. */
export interface HeadOptions {
  /** The value of the model that it reads, by its name there. @default what the last matrix product before the output reads */
  readonly at?: string;
  /** Logits it gives. */
  readonly classes: number;
  /**
   * How axes besides batch and features are brought to one: images by the mean over space, sequences [batch, steps, features]
   * by their mean or first step. @default "mean"
   */
  readonly pooling?: "mean" | "first";
  /** Name of the new output. @default "logits" */
  readonly output?: string;
}

/**
 * Logits [batch, classes] of a value: parameters `head.weight` [features, classes] and `head.bias` [classes], the weight
 * uniform within ±1/√features as torch.nn.Linear's.
 *
 * @throws GraphError when the number of features is not known, or the value is no [batch, features], sequence or image
 */
export function attachHead(nn: Scope, features: Value, { classes, pooling = "mean" }: HeadOptions): Value {
  const pooled = poolFeatures(nn, features, pooling);
  const size = pooled.shape[1];
  if (typeof size !== "number") throw new GraphError(`the head at "${features.name}" [${features.shape.join()}] cannot know how many features there are: give its input a fixed size`);
  const bound = 1 / Math.sqrt(size);
  const weight = nn.parameter("head.weight", [size, classes], (_, random) => Float32Array.from({ length: size * classes }, () => (2 * random.uniform() - 1) * bound));
  const bias = nn.parameter("head.bias", [classes], () => new Float32Array(classes));
  return add(nn.graph, matMul(nn.graph, pooled, weight), bias);
}

function poolFeatures({ graph }: Scope, x: Value, pooling: "mean" | "first"): Value {
  if (x.shape.length === 2) return x;
  if (x.shape.length === 3) return pooling === "first" ? squeeze(graph, slice(graph, x, [{ axis: 1, start: 0, end: 1 }]), [1]) : reduceMean(graph, x, [1]);
  if (x.shape.length === 4) return reduceMean(graph, x, [2, 3]);
  throw new GraphError(`a head needs [batch, features], [batch, steps, features] or [batch, channels, height, width]; "${x.name}" is [${x.shape.join()}]`);
}

const PRODUCTS: ReadonlySet<string> = new Set(["MatMul", "Gemm", "FusedMatMul"]);
const PASSING: ReadonlySet<string> = new Set(["Add", "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Reshape", "Squeeze", "Flatten"]);

/**
 * The value that the last matrix product before an output reads: where a classifier's own head begins.
 *
 * @throws GraphError when something else than a bias or an activation stands between
 */
export function headInput(model: ModelProto, output: string): string {
  const makers = new Map((model.graph?.node ?? []).flatMap((node) => node.output.map((name) => [name, node] as const)));
  const weights = new Set(model.graph?.initializer.map(({ name }) => name));
  let node: NodeProto | undefined = makers.get(output);
  while (node !== undefined && !PRODUCTS.has(node.opType)) {
    const next: string | undefined = PASSING.has(node.opType) ? node.input.find((name) => !weights.has(name) && makers.has(name)) : undefined;
    if (next === undefined) break;
    node = makers.get(next);
  }
  const [features] = node !== undefined && PRODUCTS.has(node.opType) ? node.input : [];
  if (features === undefined) throw new GraphError(`the output "${output}" does not end in a linear layer: name the value that the new head reads (\`at\`)`);
  return features;
}
