import { create, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { Graph, add, buildModel, matMul, relu } from "@servable/onnx";
import { tensorOf } from "@servable/tensor";
import { seededRandom } from "@servable/testing";

const SEED = 7;
const PREFIX_BYTES = 5;

/** A network 784-128-10 of random weights: 3 KB in, 40 bytes out, nearly no mathematics. */
export function mlpModel(): Uint8Array {
  const random = seededRandom(SEED);
  const graph = new Graph();
  const weights = (name: string, shape: readonly number[]) => graph.weight(name, tensorOf("FP32", shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.next() - 0.5)));
  const input = graph.input("input", "FP32", ["batch", 784]);
  const hidden = relu(graph, add(graph, matMul(graph, input, weights("w1", [784, 128])), weights("b1", [128])));
  return buildModel({ graph, outputs: { output: add(graph, matMul(graph, hidden, weights("w2", [128, 10])), weights("b2", [10])) } });
}

/** Takes [batch, 150528] floats (a picture's 600 KB) and gives back the first ten: all transport, no mathematics. */
export function sliceModel(): Uint8Array {
  const graph = new Graph();
  const input = graph.input("input", "FP32", ["batch", 150_528]);
  const bounds = [[0], [10], [1]].map((values) => graph.constant("INT64", [1], values));
  return buildModel({ graph, outputs: { output: graph.node("Slice", [input, ...bounds], { datatype: "FP32", shape: ["batch", 10] }) } });
}

/** An encoded ModelInferRequest for one example. */
export function inferRequest(modelName: string, tensors: Readonly<Record<string, { readonly datatype: string; readonly shape: readonly number[]; readonly data: Uint8Array }>>): Uint8Array {
  return toBinary(
    ModelInferRequestSchema,
    create(ModelInferRequestSchema, {
      modelName,
      inputs: Object.entries(tensors).map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
      rawInputContents: Object.values(tensors).map(({ data }) => data),
    }),
  );
}

/** Floats between 0 and 1, the same at every run. */
export function floats(count: number): Uint8Array {
  const random = seededRandom(SEED);
  return new Uint8Array(Float32Array.from({ length: count }, () => random.next()).buffer);
}

/** A gRPC message as it goes over the wire. */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + PREFIX_BYTES);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}
