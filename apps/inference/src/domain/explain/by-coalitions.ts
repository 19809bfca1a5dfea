import { baselineOf, completenessError, featuresOf, maskedTensor, occlude, shapley, spreadOver, type Attribution, type Feature, type Predict } from "@servable/explain";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { isFloat, type Tensor } from "@servable/tensor";
import type { InferContext, InferRequest } from "../executors/executor.ts";
import type { LoadedModel } from "../repository/loaded-model.ts";
import { batchOf, scoresOf } from "./examples.ts";
import type { SteppedExplanation } from "./by-gradients.ts";
import type { ExplainOptions } from "./explain-options.ts";
import { unsupported } from "./gradient-engines.ts";

/** One example and how the model is asked about it. */
export interface CoalitionQuestion {
  readonly model: Pick<LoadedModel, "infer">;
  readonly example: readonly NamedTensor[];
  readonly output: string;
  readonly target: number;
  readonly batchMax: number;
  readonly batches: boolean;
}

/** How finely examples are cut: each feature is a question for occlusion, and many for Shapley values. */
const GRAIN = { occlusion: { gridSide: 14, countMax: 256 }, shapley: { gridSide: 7, countMax: 64 } } as const;
const ORDERS_DEFAULT = 8;
/** Requests of one explanation that wait in the model's queue at once, where it takes one example at a time. */
const AT_ONCE_MAX = 4;
/** Integer inputs that say how to read others. */
const ABOUT_OTHERS = /mask|type|segment|position|length|sr$/i;

/**
 * Occlusion or sampled Shapley values of one example, asked of the model through its own queue.
 *
 * @throws StatusError `EXPLANATION_UNSUPPORTED` for inputs that cannot be hidden, and what the model raises
 */
export async function explainByCoalitions(method: "occlusion" | "shapley", question: CoalitionQuestion, options: ExplainOptions, context: InferContext): Promise<SteppedExplanation> {
  const { example, batchMax } = question;
  const explained = explainedInputs(example, options.inputs);
  if (options.baseline === "zero_embedding") throw new StatusError("FIELD_INVALID", 'baseline is "zero_embedding", which only Integrated Gradients know', { metadata: { field: "baseline" } });
  const kind = options.baseline;
  const baselines = new Map(explained.map((input) => [input.name, options.baselines?.get(input.name) ?? baselineOf(kind, input)]));
  const features = explained.flatMap(({ name, shape }) => featuresOf(name, shape, GRAIN[method]));
  const predict = predictor(question, features, baselines, context);
  const asked = { predict, count: features.length, batchSize: Math.max(batchMax, AT_ONCE_MAX), signal: context.signal };
  const steps = method === "shapley" ? (options.steps ?? ORDERS_DEFAULT) : 0;
  const { values, prediction, baselinePrediction, evaluations } = method === "shapley" ? await shapley({ ...asked, orders: steps, seed: options.seed }) : await occlude(asked);

  const attributions = explained.map(({ name, shape }): Attribution => {
    const own = features.map((feature, index) => ({ feature, value: values[index] ?? 0 })).filter(({ feature }) => feature.input === name);
    return spreadOver(name, shape, own.map(({ feature }) => feature), own.map(({ value }) => value));
  });
  return { attributions, prediction, baselinePrediction, completenessError: completenessError(attributions, prediction, baselinePrediction), evaluations, steps };
}

function explainedInputs(example: readonly NamedTensor[], names: readonly string[]): NamedTensor[] {
  if (names.length > 0) {
    return names.map((name) => {
      const input = example.find((each) => each.name === name);
      if (input === undefined) throw new StatusError("FIELD_INVALID", `explained_inputs names "${name}", which is no input of the request`, { metadata: { field: "explained_inputs" } });
      return input;
    });
  }
  // Columns of a table are numbers and texts; whole numbers beside neither are token ids, or say how to read them.
  const columns = example.filter(({ datatype }) => isFloat(datatype) || datatype === "BYTES");
  const saying = example.filter(({ name }) => !ABOUT_OTHERS.test(name));
  return [...([columns, saying, example].find((each) => each.length > 0) ?? [])];
}

/** Asks the model what it says when only some features are shown. */
function predictor({ model, example, output, target, batchMax, batches }: CoalitionQuestion, features: readonly Feature[], baselines: ReadonlyMap<string, Tensor>, context: InferContext): Predict {
  const own = [...baselines.keys()].map((name) => ({ name, indices: features.flatMap((feature, index) => (feature.input === name ? [index] : [])) }));
  const masked = (mask: Uint8Array): NamedTensor[] =>
    example.map((input) => {
      const baseline = baselines.get(input.name);
      const indices = own.find(({ name }) => name === input.name)?.indices;
      if (baseline === undefined || indices === undefined) return input;
      return { name: input.name, ...maskedTensor(input, baseline, indices.map((index) => features[index] as Feature), Uint8Array.from(indices, (index) => mask[index] ?? 0)) };
    });
  const ask = async (inputs: readonly NamedTensor[], count: number): Promise<number[]> => {
    const request: InferRequest = { id: "", inputs, outputs: [output], batchSize: count, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined };
    const { outputs } = await model.infer(request, context);
    const tensor = outputs.find(({ name }) => name === output);
    if (tensor === undefined) throw unsupported(`the model gave no output "${output}"`);
    return scoresOf(tensor, output, count).map((scores) => scores[target] ?? NaN);
  };
  return async (masks) => {
    if (batches && batchMax > 1) {
      const groups = Array.from({ length: Math.ceil(masks.length / batchMax) }, (_, index) => masks.slice(index * batchMax, (index + 1) * batchMax));
      return (await Promise.all(groups.map((group) => ask(batchOf(group.map(masked)), group.length)))).flat();
    }
    return (await Promise.all(masks.map((mask) => ask(masked(mask), 1)))).flat();
  };
}
