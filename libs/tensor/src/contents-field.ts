import type { Datatype } from "./datatype.ts";

/** The field of the protocol's InferTensorContents in which a datatype's values stand. */
const CONTENTS_FIELDS = {
  BOOL: "boolContents",
  INT8: "intContents",
  INT16: "intContents",
  INT32: "intContents",
  INT64: "int64Contents",
  UINT8: "uintContents",
  UINT16: "uintContents",
  UINT32: "uintContents",
  UINT64: "uint64Contents",
  FP32: "fp32Contents",
  FP64: "fp64Contents",
  BYTES: "bytesContents",
  FP16: undefined,
  BF16: undefined,
} as const satisfies Record<Datatype, string | undefined>;

/** A field of InferTensorContents, named as protobuf-es does. */
export type ContentsField = NonNullable<(typeof CONTENTS_FIELDS)[Datatype]>;

/** The field of a datatype's values; undefined for FP16 and BF16, which travel as raw bytes only. */
export function contentsFieldOf(datatype: Datatype): ContentsField | undefined {
  return CONTENTS_FIELDS[datatype];
}
