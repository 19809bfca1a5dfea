// Reads a stranger's model where a crash, an endless run or a memory bomb ends this process only.
// argv: path of the file; the version's other files stand beside it. Answers one message over IPC and ends.

import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { StatusError } from "@servable/errors";
import { MODEL_LIMITS, checkLimits, readModel, signatureOf, withFp32Interface, type ModelProto, type ModelSignature, type TensorSpec } from "@servable/onnx";
import ort from "onnxruntime-node";
import type { ValidationResult } from "../domain/artifact-store.ts";

const TYPES: Readonly<Record<string, ort.Tensor.Type>> = {
  BOOL: "bool", UINT8: "uint8", UINT16: "uint16", UINT32: "uint32", UINT64: "uint64", INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64", FP32: "float32", FP64: "float64", BYTES: "string",
};

async function validate(path: string): Promise<ValidationResult> {
  try {
    const bytes = readFileSync(path);
    const model = readModel(bytes);
    checkLimits(model, MODEL_LIMITS, filesBeside(path));
    const signature = signatureOf(model);
    await loadAsServed(path, model, signature);
    return { ok: true, signature };
  } catch (error) {
    const { reason, message } = StatusError.from(error);
    return { ok: false, reason, message: reason === "INTERNAL" ? `the file could not be checked: ${error instanceof Error ? error.message : String(error)}` : message };
  }
}

/** Sizes of the version's files by path; weights may point at them. */
function filesBeside(path: string): Map<string, number> {
  const folder = dirname(path);
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return new Map(entries.map(({ parentPath, name }) => [relative(folder, join(parentPath, name)).split(sep).join("/"), statSync(join(parentPath, name)).size]));
}

/** onnxruntime's binding has no BF16 tensors: such models are served with FP32 at their edges, so that is how they are tried. */
async function loadAsServed(path: string, model: ModelProto, signature: ModelSignature): Promise<void> {
  if (![...signature.inputs, ...signature.outputs].some(({ datatype }) => datatype === "BF16")) return load(path, signature);
  const copy = `${path}.fp32-io.onnx`;
  writeFileSync(copy, withFp32Interface(model));
  try {
    await load(copy, signatureOf(model));
  } finally {
    rmSync(copy);
  }
}

async function load(path: string, signature: ModelSignature): Promise<void> {
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  } catch (error) {
    throw new StatusError("MODEL_LOAD_FAILED", `onnxruntime cannot load the graph: ${(error as Error).message.replaceAll(path, "the model").slice(0, 500)}`);
  }
  const feeds = signature.inputs.map((input) => [input.name, probe(input)] as const);
  if (feeds.some(([, tensor]) => tensor === undefined)) return;
  // Zeros need not be sensible input, so an error proves nothing; what counts is that the run ends.
  await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>).catch(() => {});
}

/** The smallest tensor that fits: variable sizes are 1, all elements zero. */
function probe({ datatype, shape }: TensorSpec): ort.Tensor | undefined {
  const type = TYPES[datatype];
  if (type === undefined) return undefined;
  const dims = shape.map((dimension) => (dimension === -1 ? 1 : dimension));
  const count = dims.reduce((product, dimension) => product * dimension, 1);
  if (type === "string") return new ort.Tensor("string", Array<string>(count).fill(""), dims);
  if (type === "bool") return new ort.Tensor("bool", new Uint8Array(count), dims);
  const Type = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array, float32: Float32Array, float64: Float64Array }[type as "uint8"];
  return new ort.Tensor(type as "uint8", new Type(count), dims);
}

const result = await validate(process.argv[2] ?? "");
process.send?.(result, () => process.disconnect?.());
