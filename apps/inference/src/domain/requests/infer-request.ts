import { StatusError } from "@servable/errors";
import type { InferParameters, TypedContents, WireInferRequest, WireInput } from "@servable/open-inference";
import type { NamedTensor } from "@servable/runtime";
import { checkByteCount, elementBytes, elementCount, fitsShape, isDatatype, tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import type { InferRequest } from "../executors/executor.ts";
import type { TensorSpec } from "../config/signature.ts";
import { readRequestParameters } from "./request-parameters.ts";
import type { RequestTarget } from "./request-target.ts";
import type { SharedMemoryPart } from "./shared-memory.ts";
import { sharedMemoryPartOf } from "./shared-tensors.ts";

/** How an output is to be answered. */
export interface OutputWish {
  readonly name: string;
  /** The k best classes instead of the values; 0 = the values. */
  readonly classificationCount: number;
  readonly region: SharedMemoryPart | undefined;
}

/** Reads a part of shared memory that the caller registered. @throws StatusError */
export type ReadSharedMemory = (range: SharedMemoryPart) => Uint8Array;

/** A request that fits its model. */
export interface CheckedRequest {
  readonly request: InferRequest;
  /** By output; empty = all outputs with their values. */
  readonly wishes: readonly OutputWish[];
  /** An empty last answer of a decoupled model is wanted. */
  readonly wantsEmptyFinalResponse: boolean;
}

/**
 * Checks a request against the model's signature; inputs come out in the signature's order.
 *
 * @throws StatusError `INPUT_MISSING`, `INPUT_UNEXPECTED`, `OUTPUT_UNKNOWN`, `DATATYPE_MISMATCH`, `SHAPE_MISMATCH`,
 * `BYTE_COUNT_MISMATCH`, `VALUE_OUT_OF_RANGE`, `FIELD_INVALID`; the message names the tensor and what the model wants
 */
export function checkInferRequest(wire: WireInferRequest, target: RequestTarget, readSharedMemory: ReadSharedMemory = refuseSharedMemory): CheckedRequest {
  checkNames(wire, target);
  const { sequence, priority, queueTimeoutUs, wantsEmptyFinalResponse, parameters } = readRequestParameters(wire.parameters);
  const data = dataOfInputs(wire, readSharedMemory);
  const tensors = new Map<string, NamedTensor>();
  let batchSize: number | undefined;
  for (const [index, input] of wire.inputs.entries()) {
    const spec = target.inputsByName.get(input.name) as TensorSpec;
    const where = `input '${input.name}' for model '${target.name}'`;
    checkHead(input, spec, where);
    if (target.maxBatchSize > 0) batchSize = checkBatch(input, target, batchSize, where);
    const raw = data[index];
    const tensor = raw === undefined ? fromContents(spec.datatype, input.shape, input.contents, where) : { datatype: spec.datatype, shape: input.shape, data: raw };
    checkBytes(tensor, input.name, target.name);
    tensors.set(input.name, { name: input.name, ...tensor });
  }
  const inputs: NamedTensor[] = [];
  for (const { name } of target.signature.inputs) {
    const tensor = tensors.get(name);
    if (tensor !== undefined) inputs.push(tensor);
  }
  const wishes = wire.outputs.map(({ name, parameters }) => outputWish(name, parameters));
  return {
    request: { id: wire.id, inputs, outputs: wire.outputs.map(({ name }) => name), batchSize: batchSize ?? 1, parameters, priority, queueTimeoutUs, sequence },
    wishes,
    wantsEmptyFinalResponse,
  };
}

function checkHead(input: WireInput, spec: TensorSpec, where: string): void {
  if (!isDatatype(input.datatype) || input.datatype !== spec.datatype) {
    throw new StatusError("DATATYPE_MISMATCH", `${where}: data-type is '${input.datatype}', the model expects '${spec.datatype}'`, { metadata: { input: input.name } });
  }
  if (!fitsShape(input.shape, spec.shape)) {
    throw new StatusError("SHAPE_MISMATCH", `unexpected shape for ${where}: expected [${spec.shape.join(",")}], got [${input.shape.join(",")}]`, { metadata: { input: input.name } });
  }
}

function checkBatch(input: WireInput, { name: model, maxBatchSize }: RequestTarget, batchSize: number | undefined, where: string): number {
  const size = input.shape[0] ?? 1;
  if (size > maxBatchSize) throw new StatusError("SHAPE_MISMATCH", `inference request batch-size must be <= ${maxBatchSize} for '${model}', got ${size}`, { metadata: { input: input.name } });
  if (batchSize !== undefined && size !== batchSize) throw new StatusError("SHAPE_MISMATCH", `${where}: batch size ${size} differs from ${batchSize} of the other inputs`, { metadata: { input: input.name } });
  return size;
}

function checkNames({ inputs, outputs }: WireInferRequest, { name: model, signature, inputsByName, outputsByName, optionalInputs }: RequestTarget): void {
  const given = new Set<string>();
  for (const { name } of inputs) {
    if (given.has(name)) throw new StatusError("INPUT_UNEXPECTED", `input '${name}' already exists in request`, { metadata: { input: name } });
    given.add(name);
  }
  const missing = signature.inputs.filter(({ name }) => !given.has(name) && !optionalInputs.has(name));
  if (missing.length > 0) {
    throw new StatusError("INPUT_MISSING", missingText(model, [...given], missing.map(({ name }) => name), signature.inputs.length, optionalInputs.size), { metadata: { input: missing[0]?.name ?? "" } });
  }
  for (const { name } of inputs) {
    if (!inputsByName.has(name)) {
      throw new StatusError("INPUT_UNEXPECTED", `unexpected inference input '${name}' for model '${model}': it takes ${[...inputsByName.keys()].join(", ")}`, { metadata: { input: name } });
    }
  }
  const wanted = new Set<string>();
  for (const { name } of outputs) {
    if (!outputsByName.has(name)) throw new StatusError("OUTPUT_UNKNOWN", `unexpected inference output '${name}' for model '${model}': it gives ${[...outputsByName.keys()].join(", ")}`, { metadata: { output: name } });
    if (wanted.has(name)) throw new StatusError("OUTPUT_UNKNOWN", `output '${name}' already exists in request`, { metadata: { output: name } });
    wanted.add(name);
  }
}

/** In the words that the protocol's own tests look for. */
function missingText(model: string, given: readonly string[], missing: readonly string[], count: number, optionalCount: number): string {
  const list = (names: readonly string[]): string => `[${names.map((name) => `'${name}'`).join(",")}]`;
  const wanted = optionalCount === 0 ? `expected ${count} inputs` : `expected number of inputs between ${count - optionalCount} and ${count}`;
  return `${wanted} but got ${given.length} inputs for model '${model}'. Got input(s) ${list(given)}, but missing required input(s) ${list(missing)}. Please provide all required input(s).`;
}

function checkBytes(tensor: Tensor, input: string, model: string): void {
  const where = `input '${input}' for model '${model}'`;
  const size = elementBytes(tensor.datatype);
  if (size === undefined) return checkTexts(tensor, where, input);
  const expected = elementCount(tensor.shape, where) * size;
  if (tensor.data.length !== expected) throw new StatusError("BYTE_COUNT_MISMATCH", `input byte size mismatch for ${where}. Expected ${expected}, got ${tensor.data.length}`, { metadata: { input } });
}

/** BYTES elements carry their lengths: where those add up, the number of elements is what is wrong. */
function checkTexts(tensor: Tensor, where: string, input: string): void {
  try {
    return checkByteCount(tensor, where);
  } catch (error) {
    const count = countTexts(tensor.data);
    if (count === undefined) throw error;
    throw new StatusError("BYTE_COUNT_MISMATCH", `expected ${elementCount(tensor.shape, where)} string elements for inference ${where}, got ${count}`, { metadata: { input }, cause: error });
  }
}

/** How many elements there are, when their lengths use up the bytes exactly. */
function countTexts(data: Uint8Array): number | undefined {
  let [count, offset] = [0, 0];
  for (; offset + 4 <= data.length; count++) offset += 4 + new DataView(data.buffer, data.byteOffset + offset, 4).getUint32(0, true);
  return offset === data.length ? count : undefined;
}

/** The bytes of each input: from shared memory or raw; undefined where the values stand in `contents`. Inputs in shared memory take no raw entry. */
function dataOfInputs({ inputs, rawInputContents: raw }: WireInferRequest, readSharedMemory: ReadSharedMemory): (Uint8Array | undefined)[] {
  let next = 0;
  let [takesRaw, inMemory] = [0, 0];
  const data = inputs.map(({ name, parameters, contents }) => {
    const range = partOf(parameters, `input '${name}'`);
    if (range !== undefined) {
      inMemory++;
      if (contents !== undefined) throw new StatusError("FIELD_INVALID", `input '${name}' has both contents and a shared memory region: send one`, { metadata: { input: name } });
      return readSharedMemory(range);
    }
    takesRaw++;
    return raw[next++];
  });
  if (raw.length > 0 && raw.length !== takesRaw) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `raw_input_contents has ${raw.length} elements for ${takesRaw} inputs${inMemory > 0 ? " outside of shared memory" : ""}: send one for each, or none`);
  }
  const both = raw.length === 0 ? undefined : inputs.find(({ contents }) => contents !== undefined);
  if (both !== undefined) throw new StatusError("BYTE_COUNT_MISMATCH", `contents field must not be specified when using raw_input_contents for '${both.name}'`, { metadata: { input: both.name } });
  return data;
}

function outputWish(name: string, parameters: InferParameters): OutputWish {
  if (parameters.size === 0) return { name, classificationCount: 0, region: undefined };
  const classification = parameters.get("classification");
  const region = partOf(parameters, `output '${name}'`);
  if (classification === undefined) return { name, classificationCount: 0, region };
  if ((classification.kind !== "int64" && classification.kind !== "uint64") || classification.value < 1n) {
    throw new StatusError("FIELD_INVALID", `output '${name}': classification must be a whole number from 1 on`, { metadata: { field: "classification" } });
  }
  if (region !== undefined) throw new StatusError("FIELD_INVALID", `output '${name}': classification does not work together with shared memory`, { metadata: { field: "classification" } });
  return { name, classificationCount: Number(classification.value), region: undefined };
}

function partOf(parameters: InferParameters, where: string): SharedMemoryPart | undefined {
  return parameters.size === 0 ? undefined : sharedMemoryPartOf({ get: (key) => parameters.get(key)?.value }, where);
}

function refuseSharedMemory({ region }: SharedMemoryPart): never {
  throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find shared memory region: '${region}'`, { metadata: { region } });
}

/** Which fields of InferTensorContents hold which datatypes. */
const CONTENTS: Readonly<Partial<Record<Datatype, TypedContents["field"]>>> = {
  BOOL: "bool", INT8: "int", INT16: "int", INT32: "int", INT64: "int64", UINT8: "uint", UINT16: "uint", UINT32: "uint", UINT64: "uint64", FP32: "fp32", FP64: "fp64", BYTES: "bytes",
};

function fromContents(datatype: Datatype, shape: readonly number[], contents: readonly TypedContents[] | undefined, where: string) {
  const field = CONTENTS[datatype];
  if (contents === undefined && elementCount(shape, where) > 0) throw new StatusError("BYTE_COUNT_MISMATCH", `${where}: no data; set raw_input_contents or contents`);
  if (field === undefined) throw new StatusError("DATATYPE_MISMATCH", `${where}: ${datatype} has no contents field: send it in raw_input_contents`);
  return tensorOf(datatype, shape, contents?.find((each) => each.field === field)?.values ?? [], where);
}
