// The first runs of a model are slow: memory is taken, kernels are chosen, pages are read. A version that has `model_warmup`
// pays for them before it is READY, with requests that its author chose. They go the way of all requests, through batching
// and sequences, because that is the way that must be warm. Source: ModelWarmup of Triton's model_config.proto.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DataType, type ModelConfig, type ModelWarmup, type ModelWarmup_Input } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { checkByteCount, elementBytes, elementCount, encodeBytesElements, type Datatype } from "@servable/tensor";
import { instanceCountOf } from "../config/batching-options.ts";
import { DATATYPE_OF } from "../config/complete-model-config.ts";
import type { Executor, InferContext, InferRequest } from "../executors/executor.ts";
import type { VersionSpec } from "./loaded-model.ts";

/** How long one sample may take. */
const SAMPLE_MS_MAX = 60_000;
const COUNT_MAX = 10_000;
const SAMPLE_BYTES_MAX = 256 * 1024 ** 2;

/**
 * Runs the samples of a version's `model_warmup`; each as often as it says, and side by side on all instances.
 *
 * @param folder where the version's files are; data of samples stands in its `warmup/`
 * @throws StatusError `FIELD_INVALID` naming the sample's field, and what its run raises
 */
export async function warmUp(executor: Executor, spec: VersionSpec, folder: string, random: () => number): Promise<void> {
  for (const [index, sample] of spec.config.modelWarmup.entries()) {
    const field = `model_warmup[${index}]`;
    const requests = await requestsOf(sample, spec.config, field, folder, random);
    try {
      for (let run = 0; run < Math.max(1, sample.count); run += 1) await Promise.all(requests.map((request) => executor.infer(request, contextOf(spec))));
    } catch (error) {
      const failure = StatusError.from(error);
      throw new StatusError(failure.reason, `${field} "${sample.name}": ${failure.message}`, { code: failure.code, cause: error });
    }
  }
}

function contextOf({ deployment }: VersionSpec): InferContext {
  return { signal: AbortSignal.timeout(SAMPLE_MS_MAX), deadline: new Date(Date.now() + SAMPLE_MS_MAX), project: deployment.split("/")[1] ?? "", requestId: "" };
}

/** One request for each instance; for sequences as many as make up the batch, each a sequence of its own. */
async function requestsOf({ batchSize, inputs, count }: ModelWarmup, config: ModelConfig, field: string, folder: string, random: () => number): Promise<InferRequest[]> {
  const { maxBatchSize, schedulingChoice } = config;
  if (batchSize < 1 || (maxBatchSize === 0 ? batchSize > 1 : batchSize > maxBatchSize)) throw invalid(`${field}.batch_size`, `must be 1 to max_batch_size (${Math.max(1, maxBatchSize)}), is ${batchSize}`);
  if (count > COUNT_MAX) throw invalid(`${field}.count`, `must be at most ${COUNT_MAX}, is ${count}`);
  const missing = config.input.find(({ name, optional }) => !optional && inputs[name] === undefined);
  if (missing !== undefined) throw invalid(`${field}.inputs`, `has no data for the input "${missing.name}"`);
  const isSequence = schedulingChoice.case === "sequenceBatching";
  const rows = isSequence ? 1 : batchSize;
  const tensors = await Promise.all(Object.entries(inputs).map(([name, input]) => tensorOf(name, input, maxBatchSize > 0 ? rows : 0, `${field}.inputs["${name}"]`, config, folder, random)));
  const request: InferRequest = { id: "", inputs: tensors, outputs: [], batchSize: rows, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined };
  if (!isSequence) return Array.from({ length: instanceCountOf(config) }, () => request);
  return Array.from({ length: batchSize }, (_, slot) => ({ ...request, sequence: { id: String(slot + 1), numericId: BigInt(slot + 1), start: true, end: true } }));
}

/** `rows` = 0: the model does not batch. */
async function tensorOf(name: string, input: ModelWarmup_Input, rows: number, field: string, config: ModelConfig, folder: string, random: () => number): Promise<NamedTensor> {
  const expected = config.input.find((each) => each.name === name);
  if (expected === undefined) throw invalid(field, `the model has no such input: it has ${config.input.map((each) => each.name).join(", ")}`);
  const datatype = DATATYPE_OF.get(input.dataType);
  if (datatype === undefined || input.dataType !== expected.dataType) throw invalid(`${field}.data_type`, `is ${DataType[input.dataType] ?? input.dataType}, the input has ${DataType[expected.dataType]}`);
  const dims = input.dims.map(Number);
  if (dims.length !== expected.dims.length || dims.some((size, axis) => size < 0 || (expected.dims[axis] !== -1n && Number(expected.dims[axis]) !== size))) throw invalid(`${field}.dims`, `[${dims.join(", ")}] does not fit the input's [${expected.dims.join(", ")}]`);
  const count = elementCount(dims);
  if (count * Math.max(1, elementBytes(datatype) ?? 1) * Math.max(1, rows) > SAMPLE_BYTES_MAX) throw invalid(`${field}.dims`, `[${dims.join(", ")}] make more than ${SAMPLE_BYTES_MAX} bytes`);
  const row = await dataOf(input, datatype, count, field, folder, random);
  const data = rows > 1 ? Buffer.concat(Array.from({ length: rows }, () => row)) : row;
  return { name, datatype, shape: rows === 0 ? dims : [rows, ...dims], data };
}

async function dataOf({ inputDataType }: ModelWarmup_Input, datatype: Datatype, count: number, field: string, folder: string, random: () => number): Promise<Uint8Array> {
  switch (inputDataType.case) {
    case "zeroData":
      return datatype === "BYTES" ? encodeBytesElements(Array.from({ length: count }, () => new Uint8Array())) : new Uint8Array(count * (elementBytes(datatype) ?? 1));
    case "randomData":
      return randomData(datatype, count, random);
    case "inputDataFile":
      return fileData(inputDataType.value, datatype, count, `${field}.input_data_file`, folder);
    case undefined:
      throw invalid(field, "must say where its data comes from: zero_data, random_data or input_data_file");
  }
}

/** Small numbers, so that models which take indexes or lengths can be warmed by them too: whole ones 0 to 9, others 0 to 1. */
function randomData(datatype: Datatype, count: number, random: () => number): Uint8Array {
  if (datatype === "BYTES") return encodeBytesElements(Array.from({ length: count }, () => Buffer.from(random().toString(36).slice(2))));
  const size = elementBytes(datatype) ?? 1;
  const data = new Uint8Array(count * size);
  const view = new DataView(data.buffer);
  for (let index = 0; index < count; index += 1) {
    const at = index * size;
    if (datatype === "FP32") view.setFloat32(at, random(), true);
    else if (datatype === "FP64") view.setFloat64(at, random(), true);
    // Halves by their bits: 0.125 to 0.5.
    else if (datatype === "FP16") view.setUint16(at, 0x3000 + Math.floor(random() * 0x800), true);
    else if (datatype === "BF16") view.setUint16(at, 0x3e00 + Math.floor(random() * 0x100), true);
    else view.setUint8(at, Math.floor(random() * (datatype === "BOOL" ? 2 : 10)));
  }
  return data;
}

async function fileData(file: string, datatype: Datatype, count: number, field: string, folder: string): Promise<Uint8Array> {
  if (file.startsWith("/") || file.split(/[/\\]/).includes("..")) throw invalid(field, `"${file}" must stay in the folder warmup`);
  const data = await readFile(join(folder, "warmup", file)).catch(() => {
    throw invalid(field, `the version has no file "warmup/${file}": upload it with the model`);
  });
  try {
    checkByteCount({ datatype, shape: [count], data }, file);
  } catch (error) {
    throw invalid(field, `"${file}" does not hold what dims ask for: ${(error as Error).message}`);
  }
  return data;
}

function invalid(field: string, why: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field}: ${why}`, { metadata: { field } });
}
