import { GraphError } from "../graph-error.ts";
import type { Attribute } from "../graph.ts";
import { AttributeProto_AttributeType as AttributeType, type AttributeProto } from "../gen/onnx/onnx_pb.js";
import { tensorOfProto } from "../tensor-proto.ts";

/**
 * An attribute of a read node.
 *
 * @throws GraphError for graphs (bodies of If, Loop, Scan), sequences, optionals and sparse tensors
 */
export function attributeOfProto(proto: AttributeProto, where: string): Attribute {
  const text = new TextDecoder();
  switch (proto.type) {
    case AttributeType.INT:
      return safeInteger(proto.i ?? 0n);
    case AttributeType.FLOAT:
      return { float: proto.f ?? 0 };
    case AttributeType.STRING:
      return text.decode(proto.s);
    case AttributeType.INTS:
      return proto.ints.map(safeInteger);
    case AttributeType.FLOATS:
      return { floats: proto.floats };
    case AttributeType.STRINGS:
      return proto.strings.map((each) => text.decode(each));
    case AttributeType.TENSOR:
      if (proto.t !== undefined) return { tensor: tensorOfProto(proto.t) };
      break;
    default:
  }
  throw new GraphError(`${where} has the attribute "${proto.name}", which is no number, text or tensor`);
}

/** "To the end" is written as the largest int64; any number beyond every size says the same. */
function safeInteger(value: bigint): number {
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > bound ? bound : value < -bound ? -bound : value);
}
