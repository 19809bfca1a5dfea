import { create, fromBinary } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";
import { checkByteCount, decodeBytesElements, elementCount, tensorOf, type Tensor } from "@servable/tensor";
import { ELEMENT_TYPES, datatypeOf } from "./element-type.ts";
import { TensorProtoSchema, type TensorProto } from "./gen/onnx/onnx_pb.js";

/** A tensor with the name that its file gives it. */
export interface NamedTensorProto {
  readonly name: string;
  readonly tensor: Tensor;
}

/**
 * Reads a tensor file (`input_0.pb` of the ONNX test data, serialised initialisers).
 *
 * @throws StatusError `MODEL_NOT_ONNX` for bytes that are no TensorProto, `DATATYPE_MISMATCH` for element types that the
 * protocol has no datatype for (FLOAT8…, INT4, COMPLEX64), `BYTE_COUNT_MISMATCH` where values and shape differ
 */
export function readTensorProto(bytes: Uint8Array): NamedTensorProto {
  let proto: TensorProto;
  try {
    proto = fromBinary(TensorProtoSchema, bytes);
  } catch (error) {
    throw new StatusError("MODEL_NOT_ONNX", "the bytes are no ONNX tensor", { cause: error });
  }
  return { name: proto.name, tensor: tensorOfProto(proto) };
}

/** The tensor of a message, wherever the message keeps the values. @throws StatusError as readTensorProto does */
export function tensorOfProto(proto: TensorProto): Tensor {
  const where = `tensor "${proto.name}"`;
  const datatype = datatypeOf(proto.dataType);
  if (datatype === undefined) throw new StatusError("DATATYPE_MISMATCH", `${where} has the ONNX element type ${proto.dataType}, which no caller can send`);
  const shape = proto.dims.map(Number);
  if (proto.rawData.length > 0) {
    const tensor = { datatype, shape, data: proto.rawData };
    checkByteCount(tensor, where);
    return tensor;
  }
  switch (datatype) {
    case "FP32":
      return tensorOf(datatype, shape, proto.floatData, where);
    case "FP64":
      return tensorOf(datatype, shape, proto.doubleData, where);
    case "INT64":
      return tensorOf(datatype, shape, proto.int64Data, where);
    case "UINT32":
    case "UINT64":
      return tensorOf(datatype, shape, proto.uint64Data, where);
    case "BYTES":
      return tensorOf(datatype, shape, proto.stringData, where);
    case "FP16":
    case "BF16": {
      // Halves travel as their bits, one in each int32.
      const bits = Uint16Array.from(proto.int32Data);
      return { datatype, shape, data: new Uint8Array(bits.buffer) };
    }
    case "BOOL":
      return tensorOf(datatype, shape, proto.int32Data.map((value) => value !== 0), where);
    default:
      return tensorOf(datatype, shape, proto.int32Data, where);
  }
}

/** A tensor as a message, its bytes as they are. */
export function tensorProtoOf(name: string, { datatype, shape, data }: Tensor): TensorProto {
  const head = { name, dataType: ELEMENT_TYPES[datatype], dims: shape.map(BigInt) };
  return create(TensorProtoSchema, datatype === "BYTES" ? { ...head, stringData: decodeBytesElements(data, elementCount(shape)) } : { ...head, rawData: data });
}
