import { Graph, buildModel } from "@servable/onnx";

/**
 * A model that fills as much memory and takes as much time as its caller likes: SIZE is [n], the answer the one number
 * `sum(ones(n, n) x ones(n, n))`. n = 16,384 is 1 GiB for each matrix and minutes of one core.
 */
export function squareModel(): Uint8Array {
  const graph = new Graph();
  const size = graph.input("SIZE", "INT64", [1]);
  const shape = graph.node("Concat", [size, size], { datatype: "INT64", shape: [2] }, { axis: 0 });
  const ones = graph.node("ConstantOfShape", [shape], { datatype: "FP32", shape: ["n", "n"] }, { value: { tensor: { datatype: "FP32", shape: [1], data: new Uint8Array(new Float32Array([1]).buffer) } } });
  const product = graph.node("MatMul", [ones, ones], { datatype: "FP32", shape: ["n", "n"] });
  const axes = graph.constant("INT64", [2], [0n, 1n]);
  return buildModel({ graph, outputs: { SUM: graph.node("ReduceSum", [product, axes], { datatype: "FP32", shape: [] }, { keepdims: 0 }) } });
}

/** A model whose answer is as long as its caller likes: SIZE is [n], ZEROS has n elements of FP32. */
export function zerosModel(): Uint8Array {
  const graph = new Graph();
  const size = graph.input("SIZE", "INT64", [1]);
  return buildModel({ graph, outputs: { ZEROS: graph.node("ConstantOfShape", [size], { datatype: "FP32", shape: ["n"] }) } });
}
