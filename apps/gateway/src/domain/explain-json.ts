// Explanations in JSON: what a person sends and reads. Methods have short names, numbers as many digits as FP32 holds.

import { create } from "@bufbuild/protobuf";
import { ExplainMethod, ExplainRequestSchema, type ExplainRequest, type ExplainResponse } from "@servable/contracts/inference/v1/explanation";
import { StatusError } from "@servable/errors";
import { objectOf, parseInferRequest } from "./infer-json.ts";
import { tensorsOfInstances, type TensorHeader } from "./instances.ts";
import { parseLossless } from "./json-text.ts";
import type { ModelReference } from "./model-reference.ts";

const METHODS: Readonly<Record<string, ExplainMethod>> = {
  auto: ExplainMethod.AUTO,
  ig: ExplainMethod.INTEGRATED_GRADIENTS,
  integrated_gradients: ExplainMethod.INTEGRATED_GRADIENTS,
  occlusion: ExplainMethod.OCCLUSION,
  shapley: ExplainMethod.SHAPLEY,
};
const METHOD_NAMES: Readonly<Partial<Record<ExplainMethod, string>>> = { [ExplainMethod.INTEGRATED_GRADIENTS]: "ig", [ExplainMethod.OCCLUSION]: "occlusion", [ExplainMethod.SHAPLEY]: "shapley" };
const FIELDS = ["model", "version", "id", "inputs", "instances", "image", "text", "method", "output", "target", "explained_inputs", "steps", "baseline", "baseline_instance", "seed"];
/** An FP32 has 7 significant decimal digits. */
const DIGITS = 7;

/** The body of an explain call. */
export interface ExplainBody {
  readonly reference: ModelReference;
  /** The message to send on; `headers` are those of the model's inputs, which `instances` need. */
  request(version: string, headers: readonly TensorHeader[]): ExplainRequest;
}

/** Reads the JSON of `POST /v1/explain`. @throws StatusError naming the field */
export function parseExplainRequest(bytes: Uint8Array): ExplainBody {
  const body = objectOf(parseLossless(bytes), "the body");
  const stray = Object.keys(body).find((key) => !FIELDS.includes(key));
  if (stray !== undefined) throw invalid(stray, `is no field of this call: it takes ${FIELDS.join(", ")}`);
  const text = (key: string): string => {
    const value = body[key] ?? "";
    if (typeof value === "string") return value;
    throw invalid(key, "must be a text");
  };
  const whole = (key: string): bigint | undefined => {
    const value = body[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "bigint") return value;
    if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
    throw invalid(key, "must be a whole number");
  };
  const model = text("model");
  if (model === "") throw new StatusError("FIELD_REQUIRED", "model is missing: name a deployment", { metadata: { field: "model" } });
  const version = typeof body["version"] === "number" || typeof body["version"] === "bigint" ? String(body["version"]) : text("version");
  const method = METHODS[text("method") || "auto"];
  if (method === undefined) throw invalid("method", `must be ${Object.keys(METHODS).join(", ")}`);
  const subjects = ["inputs", "instances", "image", "text"].filter((key) => body[key] !== undefined);
  if (subjects.length !== 1) throw new StatusError("FIELD_REQUIRED", 'the body must have one of "inputs" (tensors), "instances" (a list of examples), "image" (a file in base64) and "text"', { metadata: { field: "inputs" } });
  const explainedInputs = body["explained_inputs"] ?? [];
  if (!Array.isArray(explainedInputs) || !explainedInputs.every((name) => typeof name === "string")) throw invalid("explained_inputs", "must be a list of names");
  const baseline = typeof body["baseline"] === "number" || typeof body["baseline"] === "bigint" ? String(body["baseline"]) : text("baseline");
  const target = whole("target");
  const common = { id: text("id"), method, output: text("output"), explainedInputs, steps: Number(whole("steps") ?? 0n), baseline, seed: whole("seed") ?? 0n, ...(target === undefined ? {} : { target }) };
  return {
    reference: { model, version },
    request: (servedVersion, headers) => create(ExplainRequestSchema, { modelName: model, modelVersion: servedVersion, ...common, ...baselineOf(body, headers), ...subjectOf(bytes, body, headers, { model, version: servedVersion }, text) }),
  };
}

/** What is explained, in the one of its four forms. */
function subjectOf(bytes: Uint8Array, body: Readonly<Record<string, unknown>>, headers: readonly TensorHeader[], reference: ModelReference, text: (key: string) => string): Partial<Pick<ExplainRequest, "inputs" | "rawInputContents" | "image" | "text">> {
  if (body["text"] !== undefined) return { text: text("text") };
  if (body["image"] !== undefined) return { image: base64Of(text("image")) };
  if (body["instances"] !== undefined) {
    if (!Array.isArray(body["instances"])) throw invalid("instances", "must be a list of examples");
    const tensors = tensorsOfInstances(headers, body["instances"], (index) => `instances[${index}]`);
    const { inputs, rawInputContents } = create(ExplainRequestSchema, {
      inputs: [...tensors].map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
      rawInputContents: [...tensors.values()].map(({ data }) => data),
    });
    return { inputs, rawInputContents };
  }
  // Tensors are written as in the Open Inference Protocol, and read by the same code.
  const { request } = parseInferRequest(bytes, undefined, reference);
  return { inputs: request.inputs, rawInputContents: request.rawInputContents };
}

/** The example that the others are held against. */
function baselineOf(body: Readonly<Record<string, unknown>>, headers: readonly TensorHeader[]): Partial<Pick<ExplainRequest, "baselineInputs" | "rawBaselineContents">> {
  if (body["baseline_instance"] === undefined) return {};
  const tensors = tensorsOfInstances(headers, [body["baseline_instance"]], () => "baseline_instance");
  const { baselineInputs, rawBaselineContents } = create(ExplainRequestSchema, {
    baselineInputs: [...tensors].map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
    rawBaselineContents: [...tensors.values()].map(({ data }) => data),
  });
  return { baselineInputs, rawBaselineContents };
}

/** The answer in JSON. */
export function explainResponseJson(response: ExplainResponse): string {
  return JSON.stringify({
    model_name: response.modelName,
    model_version: response.modelVersion,
    ...(response.id === "" ? {} : { id: response.id }),
    method: METHOD_NAMES[response.method] ?? "auto",
    ...(response.fallbackReason === "" ? {} : { fallback_reason: response.fallbackReason }),
    output: response.output,
    explanations: response.explanations.map((each) => ({
      target: Number(each.target),
      ...(each.label === "" ? {} : { label: each.label }),
      prediction: each.prediction,
      baseline_prediction: each.baselinePrediction,
      completeness_error: each.completenessError,
      steps: each.steps,
      evaluation_count: each.evaluationCount,
      attributions: each.attributions.map(({ input, shape, values }) => ({ input, shape: shape.map(Number), values: values.map((value) => Number(value.toPrecision(DIGITS))) })),
    })),
    ...(response.tokens.length === 0 ? {} : { tokens: response.tokens.map(({ text, start, end }) => ({ text, start, end })) }),
  });
}

function base64Of(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/^data:[^,]*,/, "").replaceAll(/\s/g, "");
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(digits)) throw invalid("image", "must be a file in base64");
  return new Uint8Array(Buffer.from(digits, "base64"));
}

function invalid(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
