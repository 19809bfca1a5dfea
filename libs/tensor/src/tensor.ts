import { StatusError } from "@servable/errors";
import { decodeBytesElements, encodeBytesElements } from "./bytes-codec.ts";
import { elementBytes, type Datatype } from "./datatype.ts";
import { elementCount } from "./shape.ts";

/** A tensor as it travels: raw little-endian, row-major bytes; BYTES elements carry their lengths. */
export interface Tensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** One element as a JavaScript value: bigint for 64-bit integers, bytes for BYTES. */
export type ElementValue = number | bigint | boolean | Uint8Array;

/** Checks that bytes fit datatype and shape. @throws StatusError `BYTE_COUNT_MISMATCH` */
export function checkByteCount({ datatype, shape, data }: Tensor, name = "tensor"): void {
  const count = elementCount(shape, name);
  const size = elementBytes(datatype);
  if (size === undefined) decodeBytesElements(data, count, name);
  else if (data.length !== count * size) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `${name}: shape [${shape.join(",")}] of ${datatype} takes ${count * size} bytes, got ${data.length}`);
  }
}

const TYPED = {
  UINT8: Uint8Array, UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array, INT8: Int8Array, INT16: Int16Array, INT32: Int32Array,
  INT64: BigInt64Array, FP16: Float16Array, FP32: Float32Array, FP64: Float64Array, BOOL: Uint8Array, BF16: Uint16Array,
} as const;

/** A view of the bytes as numbers; copies only where they are not aligned. FP16 and BF16 come as their bits. */
export function typedArrayOf(tensor: Tensor): InstanceType<(typeof TYPED)[Exclude<Datatype, "BYTES">]> {
  if (tensor.datatype === "BYTES") throw new TypeError("BYTES has no typed array");
  const Type = TYPED[tensor.datatype];
  const { data } = tensor;
  const bytes = data.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data); // Buffer's slice() would alias
  return new Type(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / Type.BYTES_PER_ELEMENT);
}

/** All elements in row-major order. @throws StatusError `BYTE_COUNT_MISMATCH` */
export function elementsOf(tensor: Tensor, name = "tensor"): ElementValue[] {
  checkByteCount(tensor, name);
  switch (tensor.datatype) {
    case "BYTES":
      return decodeBytesElements(tensor.data, elementCount(tensor.shape), name);
    case "BOOL":
      return Array.from(tensor.data, (byte) => byte !== 0);
    case "BF16": {
      const bits = Uint32Array.from(typedArrayOf(tensor) as Uint16Array, (half) => half << 16);
      return Array.from(new Float32Array(bits.buffer));
    }
    default:
      return Array.from(typedArrayOf(tensor) as unknown as ArrayLike<number | bigint>);
  }
}

const INTEGER_RANGE: Partial<Record<Datatype, readonly [bigint, bigint]>> = {
  UINT8: [0n, 255n], UINT16: [0n, 65_535n], UINT32: [0n, 2n ** 32n - 1n], UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-128n, 127n], INT16: [-32_768n, 32_767n], INT32: [-(2n ** 31n), 2n ** 31n - 1n], INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/**
 * A tensor of JavaScript values, each checked against the datatype.
 *
 * @throws StatusError `BYTE_COUNT_MISMATCH` for the wrong number of values, `DATATYPE_MISMATCH` for a value of another kind,
 * `VALUE_OUT_OF_RANGE` for a number that does not fit; the message names the element
 */
export function tensorOf(datatype: Datatype, shape: readonly number[], values: readonly unknown[], name = "tensor"): Tensor {
  const count = elementCount(shape, name);
  if (values.length !== count) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `${name}: shape [${shape.join(",")}] takes ${count} values, got ${values.length}`);
  }
  if (datatype === "BYTES") return { datatype, shape, data: encodeBytesElements(values.map((value, index) => toBytes(value, name, index))) };
  if (datatype === "BOOL") return { datatype, shape, data: Uint8Array.from(values, (value, index) => (toBoolean(value, name, index) ? 1 : 0)) };
  const range = INTEGER_RANGE[datatype];
  const array = range === undefined ? floatArray(datatype, values, name) : integerArray(datatype, values, range, name);
  return { datatype, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

// JSON brings tensors of a million values: these loops make nothing for an element but the element, and where it stands is
// put into words only when it is wrong.

function floatArray(datatype: Datatype, values: readonly unknown[], name: string): Float16Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint16Array<ArrayBuffer> {
  const Type = datatype === "FP64" ? Float64Array : datatype === "FP16" ? Float16Array : Float32Array;
  const stored = new Type(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = toNumber(values[index], name, index);
    stored[index] = value;
    // A finite number must stay one.
    if (!Number.isFinite(stored[index]) && Number.isFinite(value)) throw new StatusError("VALUE_OUT_OF_RANGE", `${name}[${index}]: ${value} does not fit ${datatype}`);
  }
  // BF16 is the upper half of FP32, as the stock client writes it.
  return datatype === "BF16" ? Uint16Array.from(new Uint32Array(stored.buffer), (bits) => bits >>> 16) : stored;
}

function integerArray(datatype: Datatype, values: readonly unknown[], [min, max]: readonly [bigint, bigint], name: string): { buffer: ArrayBuffer; byteOffset: number; byteLength: number } {
  const outOfRange = (value: unknown, index: number): StatusError => new StatusError("VALUE_OUT_OF_RANGE", `${name}[${index}]: ${BigInt(value as number)} does not fit ${datatype} (${min} to ${max})`);
  if (datatype === "INT64" || datatype === "UINT64") {
    const stored = new TYPED[datatype](values.length);
    for (let index = 0; index < values.length; index += 1) {
      const value = BigInt(toInteger(values[index], name, index));
      if (value < min || value > max) throw outOfRange(value, index);
      stored[index] = value;
    }
    return stored;
  }
  const stored = new TYPED[datatype as "INT8" | "INT16" | "INT32" | "UINT8" | "UINT16" | "UINT32"](values.length);
  const [low, high] = [Number(min), Number(max)];
  for (let index = 0; index < values.length; index += 1) {
    const value = toInteger(values[index], name, index);
    // All of these ranges lie where a double is exact.
    const number = Number(value);
    if (number < low || number > high) throw outOfRange(value, index);
    stored[index] = number;
  }
  return stored;
}

function toBytes(value: unknown, name: string, index: number): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  throw mismatch(`${name}[${index}]`, "a text", value);
}

function toBoolean(value: unknown, name: string, index: number): boolean {
  if (typeof value === "boolean") return value;
  if (value === 0 || value === 1) return value === 1;
  throw mismatch(`${name}[${index}]`, "true or false", value);
}

function toNumber(value: unknown, name: string, index: number): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw mismatch(`${name}[${index}]`, "a number", value);
}

function toInteger(value: unknown, name: string, index: number): number | bigint {
  if (typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))) return value;
  throw mismatch(`${name}[${index}]`, "a whole number", value);
}

function mismatch(where: string, want: string, got: unknown): StatusError {
  return new StatusError("DATATYPE_MISMATCH", `${where} must be ${want}, got ${shown(got)}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  // JSON.stringify refuses bigint.
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean" ? String(value) : value === null ? "null" : "an object";
}
