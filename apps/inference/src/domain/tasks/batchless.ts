import type { NamedTensor } from "@servable/runtime";
import type { TensorSpec } from "../config/signature.ts";

/** A tensor of one element, without its batch dimension where the graph has none. */
export function batchless(tensor: NamedTensor, { shape }: TensorSpec): NamedTensor {
  return shape.length === tensor.shape.length - 1 ? { ...tensor, shape: tensor.shape.slice(1) } : tensor;
}
