import { readFileSync } from "node:fs";
import { Graph, add, buildModel, matMul, readModel, softmax, tanh, type ModelProto } from "@servable/onnx";
import { tensorOf, type Tensor } from "@servable/tensor";
import ort from "onnxruntime-node";

/** The small network of the goldens, and what the second implementation says about it. */
export interface Network {
  readonly w1: number[][];
  readonly b1: number[];
  readonly w2: number[][];
  readonly b2: number[];
  readonly x: number[];
  readonly baseline: number[];
  readonly target: number;
  readonly prediction: number;
  readonly baselinePrediction: number;
  readonly integratedGradients: number[];
  readonly shapley: number[];
  readonly occlusion: number[];
}

export const NETWORK = JSON.parse(readFileSync(new URL("./goldens/network.json", import.meta.url), "utf8")) as Network;

/** softmax(tanh(x·w1 + b1)·w2 + b2) as a model with a batch. */
export function networkModel(): ModelProto {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", 4]);
  const hidden = tanh(graph, add(graph, matMul(graph, x, graph.constant("FP32", [4, 3], NETWORK.w1.flat())), graph.constant("FP32", [3], NETWORK.b1)));
  const scores = add(graph, matMul(graph, hidden, graph.constant("FP32", [3, 2], NETWORK.w2.flat())), graph.constant("FP32", [2], NETWORK.b2));
  return readModel(buildModel({ graph, outputs: { p: softmax(graph, scores) } }));
}

const ORT_TYPES: Readonly<Record<string, ort.Tensor.Type>> = { FP32: "float32", FP64: "float64", INT64: "int64", INT32: "int32", UINT8: "uint8" };
const ARRAYS: Readonly<Record<string, (data: Uint8Array) => ort.Tensor.DataType>> = {
  FP32: (data) => new Float32Array(data.slice().buffer),
  FP64: (data) => new Float64Array(data.slice().buffer),
  INT64: (data) => new BigInt64Array(data.slice().buffer),
  INT32: (data) => new Int32Array(data.slice().buffer),
  UINT8: (data) => data,
};

/** A runner of a model for `run` parameters. */
export async function runnerOf(bytes: Uint8Array): Promise<(feeds: Readonly<Record<string, Tensor>>) => Promise<Record<string, Tensor>>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  return async (feeds) => {
    const results = await session.run(Object.fromEntries(Object.entries(feeds).map(([name, { datatype, shape, data }]) => [name, new ort.Tensor(ORT_TYPES[datatype] as "float32", ARRAYS[datatype]?.(data) as Float32Array, [...shape])])));
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensorOf("FP32", tensor.dims, Array.from(tensor.data as Float32Array))]));
  };
}
