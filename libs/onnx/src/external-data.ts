// Weights may stand in files of their own beside the model. onnxruntime maps such files into memory instead of reading them,
// so that all sessions of a machine share one copy; what stands inside model.onnx is copied by every session.
// Source: onnx.proto, TensorProto.external_data (location, offset, length).

import { clearField, clone, create, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, StringStringEntryProtoSchema, TensorProtoSchema, TensorProto_DataLocation, type ModelProto, type TensorProto } from "./gen/onnx/onnx_pb.js";

/** Where the bytes of a tensor stand. */
export interface ExternalData {
  /** File beside the model, relative to it. */
  readonly location: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Bits of one element by ONNX element type (onnx.proto, TensorProto.DataType); strings have no fixed size. */
const ELEMENT_BITS: Readonly<Record<number, number>> = {
  1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
};

/** Bytes that a tensor's elements take, or undefined for strings and types without a fixed size. */
export function tensorBytes({ dims, dataType }: TensorProto): number | undefined {
  const bits = ELEMENT_BITS[dataType];
  if (bits === undefined) return undefined;
  const elements = dims.reduce((product, dimension) => product * dimension, 1n);
  return Number((elements * BigInt(bits) + 7n) / 8n);
}

/** Whether a tensor points at another file. */
export function isExternal({ externalData, dataLocation }: TensorProto): boolean {
  return externalData.length > 0 || dataLocation === TensorProto_DataLocation.EXTERNAL;
}

/** Where an external tensor points; undefined when its entries make no sense or have another length than the tensor. */
export function externalDataOf(tensor: TensorProto): ExternalData | undefined {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const whole = (key: string): number | undefined => {
    const value = entries.get(key);
    return value === undefined || value === "" ? undefined : /^\d{1,15}$/.test(value) ? Number(value) : NaN;
  };
  const bytes = tensorBytes(tensor);
  const location = entries.get("location");
  const offsetBytes = whole("offset") ?? 0;
  const lengthBytes = whole("length") ?? bytes;
  if (location === undefined || bytes === undefined || Number.isNaN(offsetBytes) || lengthBytes !== bytes) return undefined;
  return { location, offsetBytes, lengthBytes };
}

/** Lets a tensor point at bytes of a file, by default all of it, instead of holding them. */
export function moveToFile(tensor: TensorProto, location: string, lengthBytes: number, offsetBytes = 0): void {
  clearField(tensor, TensorProtoSchema.field.rawData);
  tensor.floatData = [];
  tensor.int64Data = [];
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.externalData = Object.entries({ location, offset: String(offsetBytes), length: String(lengthBytes) }).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
}

/** A model whose large weights stand in a file of their own. */
export interface SplitModel {
  readonly model: Uint8Array;
  /** The file's bytes in pieces, as the weights hold them: a large one need not be joined in memory. */
  readonly data: readonly Uint8Array[];
}

/** onnxruntime maps pages of weights into memory: each begins at one. */
const PAGE_BYTES = 4_096;

/**
 * Writes a model with its weights of at least `bytesMin` in a second file, which must stand beside it under the name
 * `location`. Above 2 GB protobuf leaves no other way.
 *
 * Source: onnx.proto, TensorProto.external_data, which advises offsets of whole pages.
 */
export function splitWeights(model: ModelProto, location: string, bytesMin = 1_024): SplitModel {
  const copy = clone(ModelProtoSchema, model);
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of largeInitializers(copy, bytesMin)) {
    const bytes = inlineBytes(tensor);
    if (bytes === undefined) continue;
    const gap = (PAGE_BYTES - (offset % PAGE_BYTES)) % PAGE_BYTES;
    if (gap > 0) data.push(new Uint8Array(gap));
    data.push(bytes);
    moveToFile(tensor, location, bytes.length, offset + gap);
    offset += gap + bytes.length;
  }
  return { model: toBinary(ModelProtoSchema, copy), data };
}

/** Initialisers of the main graph of at least so many bytes that can stand in a file, smaller ones steer the graph's shapes. */
export function largeInitializers(model: ModelProto, bytesMin: number): TensorProto[] {
  return (model.graph?.initializer ?? []).filter((tensor) => (tensorBytes(tensor) ?? 0) >= bytesMin && (isExternal(tensor) || inlineBytes(tensor) !== undefined));
}

/** The bytes of a tensor that holds them itself, little-endian; undefined for forms that hardly anybody writes. */
export function inlineBytes(tensor: TensorProto): Uint8Array | undefined {
  const { rawData, floatData, int64Data, dataType } = tensor;
  const bytes = tensorBytes(tensor);
  if (rawData.length > 0) return rawData.length === bytes ? rawData : undefined;
  const values = dataType === 1 && floatData.length > 0 ? Float32Array.from(floatData) : dataType === 7 && int64Data.length > 0 ? BigInt64Array.from(int64Data) : undefined;
  return values === undefined || values.byteLength !== bytes ? undefined : new Uint8Array(values.buffer);
}
