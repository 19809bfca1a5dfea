/** The fourteen datatypes of the Open Inference Protocol; BYTES holds texts or any bytes. */
export const DATATYPES = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES"] as const;

/** A datatype by its protocol name. */
export type Datatype = (typeof DATATYPES)[number];

const ELEMENT_BYTES: Readonly<Record<Datatype, number | undefined>> = {
  BOOL: 1, UINT8: 1, UINT16: 2, UINT32: 4, UINT64: 8, INT8: 1, INT16: 2, INT32: 4, INT64: 8, FP16: 2, FP32: 4, FP64: 8, BF16: 2, BYTES: undefined,
};

/** Bytes of one element; undefined for BYTES, whose elements vary. */
export function elementBytes(datatype: Datatype): number | undefined {
  return ELEMENT_BYTES[datatype];
}

/** Whether a text names a datatype. */
export function isDatatype(text: string): text is Datatype {
  return (DATATYPES as readonly string[]).includes(text);
}

/** Whether elements are floating-point numbers, so that NaN can stand for "missing". */
export function isFloat(datatype: Datatype): boolean {
  return datatype === "FP16" || datatype === "FP32" || datatype === "FP64" || datatype === "BF16";
}
