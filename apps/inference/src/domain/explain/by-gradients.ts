import { StatusError } from "@servable/errors";
import { baselineOf, integrateGradients, type Explanation } from "@servable/explain";
import type { NamedTensor } from "@servable/runtime";
import { elementCount, type Tensor } from "@servable/tensor";
import type { InferContext } from "../executors/executor.ts";
import type { ExplainOptions } from "./explain-options.ts";
import { pointsFor, unsupported, type GradientEngine, type GradientEngines, type GradientGraphSpec } from "./gradient-engines.ts";

/** One example with what the model itself says about it. */
export interface GradientQuestion {
  readonly example: readonly NamedTensor[];
  readonly target: number;
  /** The model's own answer. */
  readonly prediction: number;
}

/** An explanation with the points or orders that it took. */
export type SteppedExplanation = Explanation & { readonly steps: number };

/**
 * Integrated Gradients of examples, each held against the model's own answer: a graph that computes something else is not
 * believed.
 *
 * @throws StatusError `EXPLANATION_UNSUPPORTED` naming the operator without a gradient, and what engines raise
 */
export async function explainByGradients(engines: GradientEngines, spec: GradientGraphSpec, questions: readonly GradientQuestion[], options: ExplainOptions, context: InferContext): Promise<SteppedExplanation[]> {
  try {
    return await engines.use(spec, (engine) => all(engine, questions, options, context));
  } catch (error) {
    // Some graphs whose first dimension varies mix what stands along it; one point a run cannot be mixed.
    if (!(error instanceof MixedBatch) || spec.batched === false) throw error;
    return engines.use({ ...spec, batched: false }, (engine) => all(engine, questions, options, context));
  }
}

class MixedBatch extends StatusError {}

async function all(engine: GradientEngine, questions: readonly GradientQuestion[], options: ExplainOptions, context: InferContext): Promise<SteppedExplanation[]> {
  const explanations: SteppedExplanation[] = [];
  for (const question of questions) explanations.push(await one(engine, question, options, context));
  return explanations;
}

async function one(engine: GradientEngine, { example, target, prediction }: GradientQuestion, { baseline, baselines: given, steps }: ExplainOptions, context: InferContext): Promise<SteppedExplanation> {
  const tensors: Record<string, Tensor> = Object.fromEntries(example.map(({ name, datatype, shape, data }) => [name, { datatype, shape, data }]));
  const entries = engine.graph.entries;
  const missing = entries.find(({ input }) => tensors[input.name] === undefined);
  if (missing !== undefined) throw unsupported(`input "${missing.input.name}" was not sent`);
  const baselines = Object.fromEntries(
    entries.map(({ input: { name }, kind }): [string, Tensor | "zero"] => {
      if (baseline !== "zero_embedding") return [name, given?.get(name) ?? baselineOf(baseline, tensors[name] as Tensor)];
      if (kind !== "embedded") throw new StatusError("FIELD_INVALID", `baseline is "zero_embedding", but input "${name}" is no list of token ids`, { metadata: { field: "baseline" } });
      return [name, "zero"];
    }),
  );
  const elements = entries.reduce((sum, { input: { name } }) => sum + elementCount(tensors[name]?.shape ?? [], name), 0);
  const found = await integrateGradients(engine.graph, {
    run: async (feeds) => {
      const { outputs } = await engine.engine.run(Object.entries(feeds).map(([name, tensor]) => ({ name, ...tensor })), [], { signal: context.signal, deadline: context.deadline }).catch((error: unknown) => {
        // The model itself has answered to these inputs: what fails here is the graph of gradients, or the room it needs.
        if (error instanceof StatusError && (error.reason === "INFERENCE_FAILED" || error.reason === "ENGINE_OUT_OF_MEMORY")) throw unsupported(`the graph of gradients cannot be run: ${error.message}`);
        throw error;
      });
      return Object.fromEntries(outputs.map((output) => [output.name, output]));
    },
    example: tensors,
    baselines,
    target,
    ...(steps === undefined ? {} : { steps }),
    pointsPerRunMax: pointsFor(engine, elements),
    signal: context.signal,
  });
  const tolerance = 1e-3 + 0.01 * Math.abs(prediction);
  if (!(Math.abs(found.prediction - prediction) <= tolerance)) throw new MixedBatch("EXPLANATION_UNSUPPORTED", `the graph of gradients gives ${found.prediction} where the model gives ${prediction}`);
  return found;
}

