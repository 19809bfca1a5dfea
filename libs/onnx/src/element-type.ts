import type { Datatype } from "@servable/tensor";

/** ONNX's element types (onnx.proto, TensorProto.DataType) by protocol datatype. */
export const ELEMENT_TYPES: Readonly<Record<Datatype, number>> = {
  FP32: 1, UINT8: 2, INT8: 3, UINT16: 4, INT16: 5, INT32: 6, INT64: 7, BYTES: 8, BOOL: 9, FP16: 10, FP64: 11, UINT32: 12, UINT64: 13, BF16: 16,
};

const DATATYPE_OF = new Map(Object.entries(ELEMENT_TYPES).map(([datatype, type]) => [type, datatype as Datatype]));

/** The protocol datatype of an ONNX element type; undefined for those that no caller can send. */
export function datatypeOf(elementType: number): Datatype | undefined {
  return DATATYPE_OF.get(elementType);
}
