import type { Tensor } from "@servable/tensor";
import { tensorOf, typedArrayOf } from "@servable/tensor";
import { completenessError, type Explanation } from "./attribution.ts";
import { PATH, type IntegratedGradientsGraph } from "./integrated-gradients-graph.ts";
import { quadrature, type QuadraturePoint, type QuadratureRule } from "./quadrature.ts";

/** One example and how to explain it. */
export interface IntegrateOptions {
  /** Runs the graph; tensors by name. */
  readonly run: (feeds: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>;
  /** Every input of the model, one example. */
  readonly example: Readonly<Record<string, Tensor>>;
  /** For each explained input; "zero" = an embedding of zeros. */
  readonly baselines: Readonly<Record<string, Tensor | "zero">>;
  /** Index among the elements of the example's output. */
  readonly target: number;
  /** Points of the path. @default as many as the completeness error asks for, doubled from 16 to 256 */
  readonly steps?: number;
  /** @default "gauss-legendre" */
  readonly rule?: QuadratureRule;
  /** Points in one run, where the graph takes several. @default 8 */
  readonly pointsPerRunMax?: number;
  /** Ends the work between two runs. */
  readonly signal?: AbortSignal;
}

const STEPS_FIRST = 16;
const STEPS_MAX = 256;
/** Without a number of steps, they are doubled until no more than this part of the difference is missing. */
const TOLERANCE = 0.02;

/** Attributions of one example by Integrated Gradients, with the steps that it took. */
export async function integrateGradients(graph: IntegratedGradientsGraph, options: IntegrateOptions): Promise<Explanation & { readonly steps: number }> {
  if (options.steps !== undefined) return integrate(graph, options, options.steps);
  let spent = 0;
  for (let steps = STEPS_FIRST; ; steps *= 2) {
    const found = await integrate(graph, options, steps);
    spent += found.evaluations;
    const difference = Math.abs(found.prediction - found.baselinePrediction);
    if (steps >= STEPS_MAX || found.completenessError <= TOLERANCE * difference) return { ...found, evaluations: spent };
  }
}

async function integrate(graph: IntegratedGradientsGraph, options: IntegrateOptions, steps: number): Promise<Explanation & { readonly steps: number }> {
  // Both ends ride along without weight: they are f(baseline) and f(x).
  const points: QuadraturePoint[] = [{ at: 0, weight: 0 }, ...quadrature(options.rule ?? "gauss-legendre", steps), { at: 1, weight: 0 }];
  const size = graph.batched ? (options.pointsPerRunMax ?? 8) : 1;
  const constant = feedsOf(graph, options);
  const sums = new Map<string, Float64Array>();
  const scores: number[] = [];
  for (let from = 0; from < points.length; from += size) {
    options.signal?.throwIfAborted();
    const chunk = points.slice(from, from + size);
    const results = await options.run({ ...constant, [PATH.alphas]: floats(chunk.map(({ at }) => at)), [PATH.weights]: floats(chunk.map(({ weight }) => weight)) });
    scores.push(...(typedArrayOf(result(results, PATH.scores)) as Float32Array));
    for (const { input } of graph.entries) {
      const part = typedArrayOf(result(results, `${input.name}.attribution`)) as Float32Array;
      const sum = sums.get(input.name) ?? new Float64Array(part.length);
      for (const [index, value] of part.entries()) sum[index] = (sum[index] ?? 0) + value;
      sums.set(input.name, sum);
    }
  }
  const attributions = graph.entries.map(({ input: { name } }) => ({ input: name, shape: options.example[name]?.shape ?? [], values: sums.get(name) ?? new Float64Array(0) }));
  const [prediction, baselinePrediction] = [scores.at(-1) ?? NaN, scores[0] ?? NaN];
  return { attributions, prediction, baselinePrediction, completenessError: completenessError(attributions, prediction, baselinePrediction), evaluations: points.length, steps };
}

function feedsOf({ entries }: IntegratedGradientsGraph, { example, baselines, target }: IntegrateOptions): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = { ...example, [PATH.target]: tensorOf("INT64", [1], [BigInt(target)]) };
  for (const { input: { name }, kind } of entries) {
    const baseline = baselines[name] ?? "zero";
    const own = example[name];
    if (own === undefined) throw new TypeError(`the example lacks "${name}"`);
    // An embedding of zeros still needs an id to look up; any that exists will do.
    feeds[`${name}.baseline`] = baseline === "zero" ? { ...own, data: new Uint8Array(own.data.length) } : baseline;
    if (kind === "embedded") feeds[`${name}.baseline_scale`] = tensorOf("FP32", [], [baseline === "zero" ? 0 : 1]);
  }
  return feeds;
}

const floats = (values: readonly number[]): Tensor => tensorOf("FP32", [values.length], values);

function result(results: Readonly<Record<string, Tensor>>, name: string): Tensor {
  const tensor = results[name];
  if (tensor === undefined) throw new TypeError(`the run gave no "${name}"`);
  return tensor;
}
