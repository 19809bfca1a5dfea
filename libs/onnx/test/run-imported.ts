import { readFileSync } from "node:fs";
import { buildModel, importGraph, readModel } from "../src/index.ts";
import { differenceOf, readNodeTest, type NodeTestCase } from "@servable/testing";
import { decodeBytesElements, elementCount, tensorOf, typedArrayOf, type Datatype, type Tensor } from "@servable/tensor";
import ort from "onnxruntime-node";

/** The tests, beside the source tree. */
export const ARCHIVE = "assets/onnx-conformance/onnx-1.23.1-node-tests.tar.xz";

const TYPES: Readonly<Partial<Record<Datatype, ort.Tensor.Type>>> = { FP32: "float32", FP64: "float64", FP16: "float16", INT8: "int8", UINT8: "uint8", INT16: "int16", UINT16: "uint16", INT32: "int32", UINT32: "uint32", INT64: "int64", UINT64: "uint64", BOOL: "bool", BYTES: "string" };

/** What became of a case: undefined when the outputs are the expected ones. */
export interface Failure {
  /** Where it failed: the case cannot be read, its model not imported, onnxruntime does not run the result, outputs differ. */
  readonly stage: "read" | "import" | "run" | "differs";
  readonly message: string;
}

/** Takes the model of a case in, writes it again, runs it and compares. */
export async function runImported(test: NodeTestCase, options: { readonly original?: boolean } = {}): Promise<Failure | undefined> {
  const read = attempt("read", () => readNodeTest(test));
  if ("stage" in read) return read;
  const { inputs, outputs: expected } = read.value;
  const written = attempt("import", () => {
    const bytes = readFileSync(test.modelPath);
    if (options.original === true) return new Uint8Array(bytes);
    const { graph, outputs } = importGraph(readModel(bytes));
    return buildModel({ graph, outputs: Object.fromEntries(outputs) });
  });
  if ("stage" in written) return written;
  try {
    const session = await ort.InferenceSession.create(written.value, { logSeverityLevel: 4, intraOpNumThreads: 1 });
    const results = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, ortTensor(tensor)])));
    await session.release();
    for (const [name, want] of Object.entries(expected)) {
      const difference = differenceOf(results[name] && tensorOfOrt(results[name]), want);
      if (difference !== undefined) return { stage: "differs", message: `output "${name}" ${difference}` };
    }
    return undefined;
  } catch (error) {
    return { stage: "run", message: error instanceof Error ? error.message : String(error) };
  }
}

function attempt<T>(stage: Failure["stage"], work: () => T): { value: T } | Failure {
  try {
    return { value: work() };
  } catch (error) {
    return { stage, message: error instanceof Error ? error.message : String(error) };
  }
}

function ortTensor(tensor: Tensor): ort.Tensor {
  const type = TYPES[tensor.datatype];
  if (type === undefined) throw new TypeError(`onnxruntime-node has no tensors of ${tensor.datatype}`);
  const copy = new Uint8Array(tensor.data);
  const dims = [...tensor.shape];
  if (type === "string") return new ort.Tensor("string", decodeBytesElements(tensor.data, elementCount(tensor.shape)).map((text) => Buffer.from(text).toString()), dims);
  return new ort.Tensor(type as "float32", type === "float16" ? (new Float16Array(copy.buffer) as never) : (typedArrayOf({ ...tensor, data: copy }) as never), dims);
}

function tensorOfOrt({ type, data, dims }: ort.Tensor): Tensor {
  const datatype = (Object.keys(TYPES) as Datatype[]).find((each) => TYPES[each] === type);
  if (datatype === undefined) throw new TypeError(`an output of type ${type}`);
  if (type === "string") return tensorOf("BYTES", [...dims], data as string[]);
  const view = data as Float32Array;
  return { datatype, shape: [...dims], data: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) };
}

