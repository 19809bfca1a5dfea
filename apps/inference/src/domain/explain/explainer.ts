import { StatusError } from "@servable/errors";
import { isFloat } from "@servable/tensor";
import type { InferContext, InferRequest } from "../executors/executor.ts";
import type { LoadedModel } from "../repository/loaded-model.ts";
import { isPipeline } from "../config/pipeline-config.ts";
import { explainByCoalitions } from "./by-coalitions.ts";
import { explainByGradients, type SteppedExplanation } from "./by-gradients.ts";
import { examplesOf, largestOf, scoresOf, type Examples } from "./examples.ts";
import type { ExplainMethod, ExplainOptions } from "./explain-options.ts";
import { unsupported, type GradientEngines } from "./gradient-engines.ts";

/** Explanations of a request's examples. */
export interface ModelExplanation {
  /** The method that was used. */
  readonly method: Exclude<ExplainMethod, "auto">;
  /** Why auto did not use gradients; "" when it did, or was not asked. */
  readonly fallbackReason: string;
  readonly output: string;
  readonly examples: readonly (SteppedExplanation & { readonly target: number })[];
}

/** Explains answers of loaded models. */
export interface Explainer {
  /**
   * Explains what the model answers to a checked request.
   *
   * @throws StatusError `EXPLANATION_UNSUPPORTED`, `FIELD_INVALID`, `OUTPUT_UNKNOWN`, and what the model raises
   */
  explain(model: LoadedModel, request: InferRequest, options: ExplainOptions, context: InferContext): Promise<ModelExplanation>;
}

/** An explainer over the engines of gradients. */
export function createExplainer(engines: GradientEngines): Explainer {
  return {
    async explain(model, request, options, context) {
      if (model.target.isDecoupled) throw unsupported("a decoupled model has any number of answers");
      if (request.sequence !== undefined) throw unsupported("the answers of a sequence depend on what came before");
      const output = outputOf(model, options.output);
      const examples = examplesOf(request, model.target);
      const questions = await predictions(model, request, examples, output, options.target, context);
      const byCoalitions = async (method: "occlusion" | "shapley"): Promise<ModelExplanation["examples"]> => {
        const explanations: (SteppedExplanation & { target: number })[] = [];
        for (const { example, target } of questions) explanations.push({ ...(await explainByCoalitions(method, { model, example, output, target, batchMax: examples.batchMax, batches: examples.batches }, options, context)), target });
        return explanations;
      };
      const { method } = options;
      if (method === "occlusion" || method === "shapley") return { method, fallbackReason: "", output, examples: await byCoalitions(method) };
      try {
        if (isPipeline(model.spec.config)) throw unsupported("a pipeline of models has no graph of its own");
        const texts = request.inputs.find(({ datatype }) => datatype === "BYTES");
        // Asked for by name, numbers are explained with the texts as they are.
        if (method === "auto" && texts !== undefined && options.inputs.length === 0) throw unsupported(`input "${texts.name}" holds texts, which have no gradient`);
        const spec = { folder: model.folder, model: model.spec.name, output, inputs: options.inputs, ...(examples.batches ? {} : { batched: false }) };
        const found = await explainByGradients(engines, spec, questions, options, context);
        return { method: "ig", fallbackReason: "", output, examples: found.map((each, index) => ({ ...each, target: questions[index]?.target ?? 0 })) };
      } catch (error) {
        if (method !== "auto" || !(error instanceof StatusError) || error.reason !== "EXPLANATION_UNSUPPORTED") throw error;
        return { method: "occlusion", fallbackReason: error.message, output, examples: await byCoalitions("occlusion") };
      }
    },
  };
}

function outputOf({ target: { name: model, signature } }: LoadedModel, stated: string | undefined): string {
  const found = stated === undefined ? signature.outputs.find(({ datatype }) => isFloat(datatype)) : signature.outputs.find(({ name }) => name === stated);
  if (found !== undefined) return found.name;
  if (stated === undefined) throw unsupported(`'${model}' has no output of real numbers`);
  throw new StatusError("OUTPUT_UNKNOWN", `unexpected inference output '${stated}' for model '${model}': it gives ${signature.outputs.map(({ name }) => name).join(", ")}`, { metadata: { output: stated } });
}

interface Predicted {
  readonly example: Examples["each"][number];
  readonly target: number;
  readonly prediction: number;
}

/** What the model itself says, and which of its numbers is explained. */
async function predictions(model: LoadedModel, request: InferRequest, { each }: Examples, output: string, stated: number | undefined, context: InferContext): Promise<Predicted[]> {
  const { outputs } = await model.infer({ ...request, outputs: [output], parameters: new Map() }, context);
  const tensor = outputs.find(({ name }) => name === output);
  if (tensor === undefined) throw unsupported(`the model gave no output "${output}"`);
  return scoresOf(tensor, output, each.length).map((scores, index) => {
    const target = stated ?? largestOf(scores);
    const prediction = scores[target];
    if (prediction === undefined) throw new StatusError("FIELD_INVALID", `target is ${target}, but output "${output}" has ${scores.length} elements for an example`, { metadata: { field: "target" } });
    return { example: each[index] ?? [], target, prediction };
  });
}
