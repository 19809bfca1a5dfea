// The generate extension: a plain JSON object instead of tensors. Keys that are inputs of the model become tensors, the
// others parameters; an answer is an object with the outputs by name.

import { create } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, type ModelInferRequest, type ModelInferResponse } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import { objectOf, parametersOf } from "./infer-json.ts";
import { outputTensor } from "./infer-response-json.ts";
import type { TensorHeader } from "./instances.ts";
import { outermostKeys } from "./json-scan.ts";
import { jsonTokens, parseLossless } from "./json-text.ts";
import type { ModelReference } from "./model-reference.ts";

/** Keys with a meaning of their own, unless the model has an input of that name. */
const ID_KEY = "id";
const PARAMETERS_KEY = "parameters";

/** Reads the body of a generate call. @throws StatusError naming what is wrong with which key */
export function parseGenerateRequest(body: Uint8Array, { model, version }: ModelReference, headers: readonly TensorHeader[]): ModelInferRequest {
  const json = objectOf(body.length === 0 ? {} : parseLossless(body), "the body");
  const twice = outermostKeys(body).find((key, index, keys) => keys.indexOf(key) !== index);
  const request = create(ModelInferRequestSchema, { modelName: model, modelVersion: version });
  const take = (key: string, value: unknown): void => {
    const header = headers.find(({ name }) => name === key);
    if (header === undefined) {
      if (typeof value === "object") throw new StatusError("FIELD_INVALID", `parameter '${key}' has invalid type. It should be either 'int', 'bool', or 'string'.`, { metadata: { field: key } });
      Object.assign(request.parameters, create(ModelInferRequestSchema, { parameters: parametersOf({ [key]: value }, "parameters") }).parameters);
      return;
    }
    if (request.inputs.some(({ name }) => name === key)) throw existsAlready(key);
    const tensor = tensorOfValue(header, value);
    request.inputs.push(...create(ModelInferRequestSchema, { inputs: [{ name: key, datatype: tensor.datatype, shape: tensor.shape.map(BigInt) }] }).inputs);
    request.rawInputContents.push(tensor.data);
  };
  for (const [key, value] of Object.entries(json)) {
    const isInput = headers.some(({ name }) => name === key);
    if (key === ID_KEY && !isInput) request.id = String(value);
    else if (key === PARAMETERS_KEY && !isInput) for (const [inner, each] of Object.entries(objectOf(value, PARAMETERS_KEY))) take(inner, each);
    else take(key, value);
  }
  // JSON.parse keeps the last of two: what the caller meant is anyone's guess.
  if (twice !== undefined) throw existsAlready(twice);
  return request;
}

/** One answer as a JSON object: single values bare, several as a list. */
export function generateResponseJson(response: ModelInferResponse): string {
  const fields = [`"model_name":${JSON.stringify(response.modelName)}`, `"model_version":${JSON.stringify(response.modelVersion)}`];
  if (response.id !== "") fields.unshift(`"id":${JSON.stringify(response.id)}`);
  for (const [key, { parameterChoice }] of Object.entries(response.parameters)) {
    const { value } = parameterChoice;
    if (value !== undefined && !key.startsWith("triton_")) fields.push(`${JSON.stringify(key)}:${typeof value === "bigint" ? String(value) : JSON.stringify(value)}`);
  }
  for (const [index, output] of response.outputs.entries()) {
    const tokens = jsonTokens(outputTensor(response, output, index), `output '${output.name}'`, "refuse");
    fields.push(`${JSON.stringify(output.name)}:${tokens.length === 1 ? (tokens[0] ?? "null") : `[${tokens.join(",")}]`}`);
  }
  return `{${fields.join(",")}}`;
}

/** A value or a list of values; their number decides the one variable dimension. */
function tensorOfValue({ name, datatype, shape }: TensorHeader, value: unknown): Tensor {
  const values: unknown[] = Array.isArray(value) ? value.flat(Infinity) : [value];
  const wrong = values.find((each) => typeof each !== KIND[datatype].type && !(KIND[datatype].type === "number" && typeof each === "bigint"));
  if (wrong !== undefined) throw new StatusError("DATATYPE_MISMATCH", `Unable to parse '${name}': attempt to access JSON non-${KIND[datatype].word} as ${KIND[datatype].word}`, { metadata: { input: name } });
  // The first variable dimension is the batch, unless it is the only one there is.
  const variable = shape.flatMap((dimension, axis) => (dimension === -1 ? [axis] : []));
  const deduced = variable.at(-1);
  if (variable.length > 2 || (variable.length === 2 && variable[0] !== 0)) {
    throw new StatusError("SHAPE_MISMATCH", `The shape of the input '${name}' can not be deduced because there are more than one variable-sized dimension`, { metadata: { input: name } });
  }
  const fixed = shape.reduce((product, dimension) => (dimension === -1 ? product : product * dimension), 1);
  const count = fixed === 0 ? 0 : Math.floor(values.length / fixed);
  return tensorOf(datatype, shape.map((dimension, axis) => (dimension !== -1 ? dimension : axis === deduced ? count : 1)), values, `input '${name}'`);
}

const SIGNED = { type: "number", word: "signed-integer" };
const UNSIGNED = { type: "number", word: "unsigned-integer" };
const FLOAT = { type: "number", word: "double" };
/** How values of a datatype stand in JSON, and what Triton calls that. */
const KIND: Readonly<Record<Datatype, { readonly type: string; readonly word: string }>> = {
  BOOL: { type: "boolean", word: "boolean" },
  BYTES: { type: "string", word: "string" },
  INT8: SIGNED, INT16: SIGNED, INT32: SIGNED, INT64: SIGNED,
  UINT8: UNSIGNED, UINT16: UNSIGNED, UINT32: UNSIGNED, UINT64: UNSIGNED,
  FP16: FLOAT, FP32: FLOAT, FP64: FLOAT, BF16: FLOAT,
};

function existsAlready(input: string): StatusError {
  return new StatusError("FIELD_INVALID", `input '${input}' already exists in request`, { metadata: { input } });
}
