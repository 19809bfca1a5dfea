import { isUtf8 } from "node:buffer";
import { StatusError } from "@servable/errors";
import { decodeBytesElements, elementCount, encodeBytesElements, typedArrayOf, type Datatype } from "@servable/tensor";
import ort from "onnxruntime-node";
import type { NamedTensor } from "./engine.ts";

const ORT_TYPES: Readonly<Partial<Record<Datatype, ort.Tensor.Type>>> = {
  BOOL: "bool", UINT8: "uint8", UINT16: "uint16", UINT32: "uint32", UINT64: "uint64", INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64", FP16: "float16", FP32: "float32", FP64: "float64", BYTES: "string",
};
const DATATYPES = new Map(Object.entries(ORT_TYPES).map(([datatype, type]) => [type, datatype as Datatype]));

/** onnxruntime's form of a tensor; numbers are shared, not copied, where they are aligned. */
export function toOrt({ name, datatype, shape, data }: NamedTensor): ort.Tensor {
  const type = ORT_TYPES[datatype];
  if (type === undefined) throw new StatusError("DATATYPE_MISMATCH", `input "${name}": onnxruntime's Node build takes no ${datatype}; cast to FP32 in the graph`);
  if (type === "string") return new ort.Tensor("string", decodeBytesElements(data, elementCount(shape), name).map(textOf), shape);
  if (type === "float16") {
    const array = typedArrayOf({ datatype, shape, data });
    const bits = new Uint16Array(array.buffer, array.byteOffset, array.length);
    const tensor = new ort.Tensor("float16", bits, shape);
    // onnxruntime-node 1.30 loses the bits on Node 24 and later (its pull request 32323): the private field is set again.
    (tensor as unknown as { cpuData: unknown }).cpuData = bits;
    return tensor;
  }
  return new ort.Tensor(type as "float32", typedArrayOf({ datatype, shape, data }) as Float32Array, shape);
}

/** The wire form of an output. */
export function fromOrt(name: string, tensor: ort.Tensor): NamedTensor {
  const datatype = DATATYPES.get(tensor.type);
  if (datatype === undefined) throw new StatusError("INFERENCE_FAILED", `output "${name}" has the type ${tensor.type}, which cannot be sent`);
  const shape = [...tensor.dims];
  if (tensor.type === "string") return { name, datatype, shape, data: encodeBytesElements((tensor.data as string[]).map(bytesOf)) };
  const { buffer, byteOffset, byteLength } = tensor.data as Uint8Array;
  return { name, datatype, shape, data: new Uint8Array(buffer, byteOffset, byteLength) };
}

// BYTES may hold anything, onnxruntime's strings in JavaScript only text without NUL. Such bytes travel as characters of the
// last private plane and come back as bytes, as Python does it with surrogates (PEP 383).
const ESCAPE = 0x10ff00;

function textOf(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8").replaceAll("\0", String.fromCodePoint(ESCAPE));
  return Array.from(bytes, (byte) => String.fromCodePoint(byte > 0 && byte < 0x80 ? byte : ESCAPE + byte)).join("");
}

function bytesOf(text: string): Uint8Array {
  if (!/[\u{10ff00}-\u{10ffff}]/u.test(text)) return Buffer.from(text, "utf8");
  return Buffer.concat(
    Array.from(text, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code >= ESCAPE ? Buffer.from([code - ESCAPE]) : Buffer.from(character, "utf8");
    }),
  );
}
