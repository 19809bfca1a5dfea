// The REST twin of ModelInfer: JSON with an optional binary tail becomes a ModelInferRequest, and back. All tensors travel
// onward as raw bytes. Source: shared reference of the protocol, KServe's "binary tensor data extension".

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, type InferParameter, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { ELEMENTS_MAX, elementBytes, elementCount, flatten, isDatatype, tensorOf, type Datatype } from "@servable/tensor";
import { parseLossless } from "./json-text.ts";
import type { ModelReference } from "./model-reference.ts";

/** Which outputs the caller wants as binary. */
export type WantsBinary = (output: string) => boolean;

/** A request as it goes onward, and how the caller wants the answer. */
export interface ParsedInferRequest {
  readonly request: ModelInferRequest;
  readonly wantsBinary: WantsBinary;
}

type ParameterInit = MessageInitShape<typeof ModelInferRequestSchema>["parameters"];
type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads the body of an infer call.
 *
 * @param jsonLength bytes of the JSON part; the rest are binary tensors. Absent = all is JSON
 * @throws StatusError naming what is wrong with which input
 */
export function parseInferRequest(body: Uint8Array, jsonLength: number | undefined, { model, version }: ModelReference): ParsedInferRequest {
  const json = objectOf(parseLossless(jsonLength === undefined ? body : body.subarray(0, jsonLength)), "the body");
  const tail = createTail(jsonLength === undefined ? new Uint8Array() : body.subarray(jsonLength), model);

  const raw: Uint8Array[] = [];
  const names = new Set<string>();
  const inputs = listOf(json["inputs"], "inputs").map((value, index) => {
    const input = objectOf(value, `inputs[${index}]`);
    const name = textOf(input["name"], `inputs[${index}].name`);
    if (names.has(name)) throw new StatusError("FIELD_INVALID", `input '${name}' already exists in request`, { metadata: { input: name } });
    names.add(name);
    const datatype = datatypeOf(input["datatype"], name);
    const shape = shapeOf(input["shape"], datatype, name);
    const { binary_data_size: size, ...parameters } = objectOf(input["parameters"] ?? {}, `inputs[${index}].parameters`);
    if (size !== undefined && input["data"] !== undefined) throw new StatusError("FIELD_INVALID", `input '${name}' has both data and binary_data_size: send one`, { metadata: { input: name } });
    if ("shared_memory_region" in parameters && (size !== undefined || input["data"] !== undefined)) throw new StatusError("FIELD_INVALID", `input '${name}' has both data and a shared memory region: send one`, { metadata: { input: name } });
    if (size !== undefined) raw.push(tail.take(size, name));
    else if (!("shared_memory_region" in parameters)) raw.push(dataOf(input["data"], datatype, shape, name));
    return { name, datatype, shape: shape.map(BigInt), parameters: parametersOf(parameters, `inputs[${index}].parameters`) };
  });
  tail.finish();

  const { binary_data_output: allBinary, ...parameters } = objectOf(json["parameters"] ?? {}, "parameters");
  const binary = new Map<string, boolean>();
  const outputs = listOf(json["outputs"] ?? [], "outputs").map((value, index) => {
    const output = objectOf(value, `outputs[${index}]`);
    const name = textOf(output["name"], `outputs[${index}].name`);
    if (binary.has(name)) throw new StatusError("FIELD_INVALID", `output '${name}' already exists in request: Duplicate output name '${name}' is not allowed in a request`, { metadata: { output: name } });
    const { binary_data: own, ...rest } = objectOf(output["parameters"] ?? {}, `outputs[${index}].parameters`);
    binary.set(name, own === undefined ? allBinary === true : own === true);
    return { name, parameters: parametersOf(rest, `outputs[${index}].parameters`) };
  });

  const id = json["id"] === undefined ? "" : textOf(json["id"], "id");
  const request = create(ModelInferRequestSchema, { modelName: model, modelVersion: version, id, parameters: parametersOf(parameters, "parameters"), inputs, outputs, rawInputContents: raw });
  return { request, wantsBinary: (output) => binary.get(output) ?? allBinary === true };
}

interface Tail {
  take(size: unknown, input: string): Uint8Array;
  finish(): void;
}

function createTail(bytes: Uint8Array, model: string): Tail {
  let offset = 0;
  return {
    take(size, input) {
      if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw new StatusError("FIELD_INVALID", `input '${input}': binary_data_size must be a whole number from 0 on`);
      if (offset + size > bytes.length) throw new StatusError("BYTE_COUNT_MISMATCH", `input '${input}': binary_data_size is ${size}, but only ${bytes.length - offset} bytes are left in the body`);
      offset += size;
      return bytes.subarray(offset - size, offset);
    },
    finish() {
      if (offset !== bytes.length) throw new StatusError("BYTE_COUNT_MISMATCH", `unexpected additional input data for model '${model}': ${bytes.length - offset} bytes belong to no input`);
    },
  };
}

/** `data` may be nested or flat; what counts is the number of values. */
function dataOf(data: unknown, datatype: Datatype, shape: readonly number[], name: string): Uint8Array {
  if (data === undefined) throw new StatusError("INPUT_MISSING", `input '${name}' has neither data nor binary_data_size`);
  if (!Array.isArray(data)) throw new StatusError("FIELD_INVALID", `input '${name}': data must be a list`, { metadata: { input: name } });
  if (datatype === "FP16" || datatype === "BF16") throw new StatusError("DATATYPE_MISMATCH", `input '${name}': receiving ${datatype} data via JSON is not supported. Please use the binary data format for input '${name}'`, { metadata: { input: name } });
  const nested = data.some(Array.isArray);
  return tensorOf(datatype, shape, nested ? flatten(data, `input '${name}'`).values : data, `input '${name}'`).data;
}

/** Parameters of JSON as the protocol's. @throws StatusError `FIELD_INVALID` for lists, objects and numbers beyond 64 bits */
export function parametersOf(parameters: JsonObject, where: string): NonNullable<ParameterInit> {
  return Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, { parameterChoice: choiceOf(value, key, where) }]));
}

function choiceOf(value: unknown, key: string, where: string): InferParameter["parameterChoice"] {
  switch (typeof value) {
    case "boolean":
      return { case: "boolParam", value };
    case "string":
      return { case: "stringParam", value };
    case "bigint":
      return { case: "int64Param", value: integerOf(value, key, where) };
    case "number":
      return Number.isInteger(value) ? { case: "int64Param", value: integerOf(BigInt(value), key, where) } : { case: "doubleParam", value };
    default:
      throw new StatusError("FIELD_INVALID", `${where}.${key} must be a text, a number, true or false`, { metadata: { field: `${where}.${key}` } });
  }
}

function integerOf(value: bigint, key: string, where: string): bigint {
  // Ids of sequences are unsigned; they travel in the signed field and are read back as what they were.
  const fits = key === "sequence_id" ? BigInt.asUintN(64, value) === value : BigInt.asIntN(64, value) === value;
  if (fits) return BigInt.asIntN(64, value);
  const problem = key === "shared_memory_byte_size" ? `Integer overflow detected: byte_size ${value}` : key === "shared_memory_offset" ? `Invalid offset for shared memory region: ${value}` : `${value}`;
  throw new StatusError("FIELD_INVALID", `${where}.${key}: ${problem} does not fit 64 bits`, { metadata: { field: `${where}.${key}` } });
}

function datatypeOf(value: unknown, name: string): Datatype {
  if (typeof value !== "string" || !isDatatype(value)) throw new StatusError("DATATYPE_MISMATCH", `input '${name}': ${typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : typeof value} is no datatype of the protocol: write e.g. FP32 or BYTES`);
  return value;
}

/** Elements beyond this have no name in 64 bits. */
const ELEMENTS_IN_64_BITS = 2n ** 63n - 1n;

/** Dimensions of a tensor; the product of a million of them would take minutes to be refused. */
const RANK_MAX = 128;

function shapeOf(value: unknown, datatype: Datatype, name: string): number[] {
  const dimensions = listOf(value, `input '${name}': shape`);
  if (dimensions.length > RANK_MAX) throw new StatusError("SHAPE_MISMATCH", `input '${name}': shape has ${dimensions.length} dimensions, at most ${RANK_MAX} are taken`, { metadata: { input: name } });
  const shape = dimensions.map((dimension) => {
    if ((typeof dimension === "number" && Number.isSafeInteger(dimension) && dimension >= 0) || (typeof dimension === "bigint" && dimension >= 0n)) return BigInt(dimension);
    throw new StatusError("SHAPE_MISMATCH", `input '${name}': Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer`, { metadata: { input: name } });
  });
  const elements = shape.reduce((product, dimension) => product * dimension, 1n);
  if (elements <= BigInt(ELEMENTS_MAX) && elements * BigInt(elementBytes(datatype) ?? 1) <= BigInt(ELEMENTS_MAX)) return shape.map(Number);
  const problem = `shape [${shape.join(",")}] causes total element count to exceed maximum size of ${ELEMENTS_MAX} bytes`;
  throw new StatusError("SHAPE_MISMATCH", elements > ELEMENTS_IN_64_BITS ? `input '${name}': ${problem}` : `byte size overflow for input '${name}': ${problem}`, { metadata: { input: name } });
}

/** @throws StatusError `JSON_MALFORMED` when the value is no object */
export function objectOf(value: unknown, where: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new StatusError("JSON_MALFORMED", `${where} must be a JSON object`);
}

function listOf(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new StatusError("FIELD_INVALID", `${where} must be a list`);
}

function textOf(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw new StatusError("FIELD_INVALID", `${where} must be a text`);
}

/**
 * A request whose body is nothing but the bytes of the model's only input (header value 0): its shape is what the bytes
 * make of the one variable dimension, its batch is 1, and all outputs come back as binary.
 */
export function rawInferRequest(body: Uint8Array, { model, version }: ModelReference, inputs: readonly { name: string; datatype: string; shape: readonly bigint[] }[]): ParsedInferRequest {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) throw new StatusError("FIELD_INVALID", `Raw request must only have 1 input (found 1) to be deduced but got ${inputs.length} inputs in '${model}' model configuration`);
  const datatype = datatypeOf(input.datatype, input.name);
  const [batch, ...row] = input.shape.map(Number);
  const shape = batch === -1 ? [1, ...row] : input.shape.map(Number);
  const variable = shape.filter((dimension) => dimension === -1).length;
  let data = body;
  const size = elementBytes(datatype);
  if (size === undefined) {
    if (variable > 0 || elementCount(shape) !== 1) throw new StatusError("SHAPE_MISMATCH", `For BYTE datatype raw input '${input.name}', the model must have input shape [1]`);
    data = tensorOf("BYTES", [1], [body]).data;
  } else if (variable > 1) {
    throw new StatusError("SHAPE_MISMATCH", `The shape of the raw input '${input.name}' can not be deduced because there are more than one variable-sized dimension`);
  }
  const fixed = shape.reduce((product, dimension) => (dimension === -1 ? product : product * dimension), 1);
  const deduced = shape.map((dimension) => (dimension === -1 ? (size === undefined ? 1 : Math.floor(body.length / size / fixed)) : dimension));
  const request = create(ModelInferRequestSchema, {
    modelName: model,
    modelVersion: version,
    inputs: [{ name: input.name, datatype, shape: deduced.map(BigInt) }],
    rawInputContents: [data],
  });
  return { request, wantsBinary: () => true };
}
