import { type InferTensorContents, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { checkByteCount, contentsFieldOf, elementCount, fitsShape, isDatatype, tensorOf, type Datatype } from "@servable/tensor";
import type { Signature } from "./model-config.ts";

/** What the checks need of a model. */
export interface RequestTarget {
  readonly name: string;
  readonly signature: Signature;
  /** 0 = the model does not batch. */
  readonly maxBatchSize: number;
}

/** A request that fits its model. */
export interface CheckedRequest {
  readonly inputs: readonly NamedTensor[];
  /** Outputs by name; empty = all. */
  readonly outputs: readonly string[];
  /** Elements of the batch; 1 when the model does not batch. */
  readonly batchSize: number;
}

/**
 * Checks a request against the model's signature.
 *
 * @throws StatusError `INPUT_MISSING`, `INPUT_UNEXPECTED`, `OUTPUT_UNKNOWN`, `DATATYPE_MISMATCH`, `SHAPE_MISMATCH`,
 * `BYTE_COUNT_MISMATCH`, `VALUE_OUT_OF_RANGE`; the message names the tensor and what the model wants
 */
export function checkInferRequest(request: ModelInferRequest, target: RequestTarget): CheckedRequest {
  const { name: model, signature } = target;
  checkNames(request, target);
  const raw = rawContents(request);
  let batchSize = 1;
  const inputs = request.inputs.map((input, index) => {
    const where = `input '${input.name}' for model '${model}'`;
    const spec = signature.inputs.find(({ name }) => name === input.name);
    if (spec === undefined) {
      throw new StatusError("INPUT_UNEXPECTED", `unexpected inference input '${input.name}' for model '${model}': it takes ${signature.inputs.map(({ name }) => name).join(", ")}`, { metadata: { input: input.name } });
    }
    if (!isDatatype(input.datatype) || input.datatype !== spec.datatype) {
      throw new StatusError("DATATYPE_MISMATCH", `${where}: data-type is '${input.datatype}', the model expects '${spec.datatype}'`, { metadata: { input: input.name } });
    }
    const shape = input.shape.map(Number);
    if (!fitsShape(shape, spec.shape)) {
      throw new StatusError("SHAPE_MISMATCH", `unexpected shape for ${where}: expected [${spec.shape.join(",")}], got [${shape.join(",")}]`, { metadata: { input: input.name } });
    }
    if (target.maxBatchSize > 0) {
      const size = shape[0] ?? 1;
      if (size > target.maxBatchSize) throw new StatusError("SHAPE_MISMATCH", `inference request batch-size must be <= ${target.maxBatchSize} for '${model}', got ${size}`, { metadata: { input: input.name } });
      if (index > 0 && size !== batchSize) throw new StatusError("SHAPE_MISMATCH", `${where}: batch size ${size} differs from ${batchSize} of the other inputs`, { metadata: { input: input.name } });
      batchSize = size;
    }
    const tensor = raw === undefined ? fromContents(spec.datatype, shape, input.contents, where) : { datatype: spec.datatype, shape, data: raw[index] as Uint8Array };
    checkByteCount(tensor, where);
    return { name: input.name, ...tensor };
  });
  return { inputs, outputs: request.outputs.map(({ name }) => name), batchSize };
}

function checkNames(request: ModelInferRequest, { name: model, signature }: RequestTarget): void {
  const given = request.inputs.map(({ name }) => name);
  const missing = signature.inputs.filter(({ name }) => !given.includes(name));
  if (missing.length > 0) {
    throw new StatusError("INPUT_MISSING", `expected ${signature.inputs.length} inputs but got ${given.length} inputs for model '${model}': ${missing.map(({ name }) => `'${name}'`).join(", ")} missing`, { metadata: { input: missing[0]?.name ?? "" } });
  }
  const twice = given.find((name, index) => given.indexOf(name) !== index);
  if (twice !== undefined) throw new StatusError("INPUT_UNEXPECTED", `input '${twice}' already exists in request`, { metadata: { input: twice } });
  const outputs = request.outputs.map(({ name }) => name);
  const unknown = outputs.find((name) => !signature.outputs.some((spec) => spec.name === name));
  if (unknown !== undefined) {
    throw new StatusError("OUTPUT_UNKNOWN", `unexpected inference output '${unknown}' for model '${model}': it gives ${signature.outputs.map(({ name }) => name).join(", ")}`, { metadata: { output: unknown } });
  }
  const repeated = outputs.find((name, index) => outputs.indexOf(name) !== index);
  if (repeated !== undefined) throw new StatusError("OUTPUT_UNKNOWN", `output '${repeated}' already exists in request`, { metadata: { output: repeated } });
}

/** Raw contents in the inputs' order, or undefined when the values stand in `contents`. */
function rawContents({ inputs, rawInputContents }: ModelInferRequest): readonly Uint8Array[] | undefined {
  if (rawInputContents.length === 0) return undefined;
  if (rawInputContents.length !== inputs.length) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `raw_input_contents has ${rawInputContents.length} elements for ${inputs.length} inputs: send one for each, or none`);
  }
  const both = inputs.find(({ contents }) => contents !== undefined);
  if (both !== undefined) throw new StatusError("BYTE_COUNT_MISMATCH", `contents field must not be specified when using raw_input_contents for '${both.name}'`, { metadata: { input: both.name } });
  return rawInputContents;
}

function fromContents(datatype: Datatype, shape: readonly number[], contents: InferTensorContents | undefined, where: string) {
  const values: readonly unknown[] | undefined = contents === undefined ? (elementCount(shape, where) === 0 ? [] : undefined) : valuesOf(datatype, contents);
  if (values === undefined) throw new StatusError("BYTE_COUNT_MISMATCH", `${where}: no data; set raw_input_contents or contents`);
  return tensorOf(datatype, shape, values, where);
}

function valuesOf(datatype: Datatype, contents: InferTensorContents): readonly unknown[] {
  const field = contentsFieldOf(datatype);
  if (field === undefined) throw new StatusError("DATATYPE_MISMATCH", `${datatype} has no contents field: send it in raw_input_contents`);
  return contents[field];
}
