import type { WireInferRequest } from "@servable/open-inference";
import type { NamedTensor } from "@servable/runtime";
import type { InferContext, InferRequest, InferResult, ParameterValue } from "../executors/executor.ts";
import type { LoadedModel } from "../repository/loaded-model.ts";
import { asksForExplanation, explainOptionsOfParameters } from "./explain-options.ts";
import type { Explainer, ModelExplanation } from "./explainer.ts";

/** What the name of an output of attributions ends with; before it stands the input's. */
const SUFFIX = ".attribution";

/** A request without the outputs of attributions that it asks for by name: the model has none of them. */
export function withoutAttributionOutputs(wire: WireInferRequest): WireInferRequest {
  if (wire.outputs.length === 0 || !asksForExplanation(wire.parameters)) return wire;
  return { ...wire, outputs: wire.outputs.filter(({ name }) => !name.endsWith(SUFFIX)) };
}

/**
 * Answers a request whose parameters ask for an explanation: the model's answer, an output `INPUT.attribution` for each
 * explained input, and what the explanation is worth as parameters of the response.
 */
export async function inferWithExplanation(explainer: Explainer, model: LoadedModel, request: InferRequest, context: InferContext): Promise<InferResult> {
  const options = explainOptionsOfParameters(request.parameters);
  const explanation = await explainer.explain(model, request, options, context);
  const result = await model.infer(request, context);
  return { ...result, outputs: [...result.outputs, ...attributionOutputs(explanation)], parameters: new Map([...(result.parameters ?? []), ...explanationParameters(explanation)]) };
}

/** The attributions of all examples as one batch for each input. */
function attributionOutputs({ examples }: ModelExplanation): NamedTensor[] {
  const [first] = examples;
  return (first?.attributions ?? []).map(({ input, shape }, index) => {
    const values = examples.flatMap(({ attributions }) => [...(attributions[index]?.values ?? [])]);
    const batched = examples.length > 1 ? [examples.length, ...shape.slice(1)] : shape;
    return { name: `${input}${SUFFIX}`, datatype: "FP32", shape: batched, data: new Uint8Array(Float32Array.from(values).buffer) };
  });
}

function explanationParameters({ method, fallbackReason, output, examples }: ModelExplanation): [string, ParameterValue][] {
  return [
    ["explain_method", method],
    ["explain_output", output],
    // One number for each example; the worst error speaks for all.
    ["explain_target", examples.length === 1 ? BigInt(examples[0]?.target ?? 0) : examples.map(({ target }) => target).join()],
    ["explain_completeness_error", Math.max(...examples.map(({ completenessError }) => completenessError))],
    ["explain_baseline_prediction", examples.length === 1 ? (examples[0]?.baselinePrediction ?? 0) : examples.map(({ baselinePrediction }) => baselinePrediction).join()],
    ["explain_steps", BigInt(Math.max(...examples.map(({ steps }) => steps)))],
    ...(fallbackReason === "" ? [] : ([["explain_fallback_reason", fallbackReason]] as [string, ParameterValue][])),
  ];
}
