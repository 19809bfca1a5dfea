import { elementCount, elementsOf, type Tensor } from "@servable/tensor";
import { GraphError } from "../graph-error.ts";
import type { SparseTensorProto } from "../gen/onnx/onnx_pb.js";
import { tensorOfProto } from "../tensor-proto.ts";

/** Elements that a sparse weight may become. */
const DENSE_ELEMENTS_MAX = 2 ** 26;

/** A sparse weight with its zeros. Source: onnx.proto, SparseTensorProto: indices are linear [n], or coordinates [n, rank]. @throws GraphError */
export function denseTensor({ values, indices, dims }: SparseTensorProto): Tensor {
  if (values === undefined || indices === undefined) throw new GraphError("a sparse weight without values or indices");
  const given = tensorOfProto(values);
  const shape = dims.map(Number);
  const count = elementCount(shape);
  const width = given.data.length / Math.max(1, elementCount(given.shape));
  if (given.datatype === "BYTES" || count > DENSE_ELEMENTS_MAX) throw new GraphError(`the sparse weight "${values.name}" cannot be made dense`);
  const places = tensorOfProto(indices);
  const numbers = elementsOf(places).map(Number);
  const rank = places.shape.length === 2 ? shape.length : 1;
  const data = new Uint8Array(count * width);
  for (let index = 0; index < elementCount(given.shape); index++) {
    const at = numbers.slice(index * rank, (index + 1) * rank).reduce((place, coordinate, axis) => (rank === 1 ? coordinate : place * (shape[axis] ?? 1) + coordinate), 0);
    if (!Number.isInteger(at) || at < 0 || at >= count) throw new GraphError(`the sparse weight "${values.name}" has an index outside its shape`);
    data.set(given.data.subarray(index * width, (index + 1) * width), at * width);
  }
  return { datatype: given.datatype, shape, data };
}
