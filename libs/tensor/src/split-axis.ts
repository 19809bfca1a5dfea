import { decodeBytesElements, encodeBytesElements } from "./bytes-codec.ts";
import { elementBytes } from "./datatype.ts";
import { elementCount } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Cuts a tensor along an axis into parts of the given sizes, which keep the axis. Parts of the first axis of a tensor of
 * fixed-size elements are views: nothing is copied.
 *
 * @throws TypeError when there is no such axis, or the sizes do not add up to it
 */
export function splitAxis(tensor: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
  const { datatype, shape, data } = tensor;
  const whole = shape[axis];
  if (whole === undefined || sizes.reduce((sum, size) => sum + size, 0) !== whole) throw new TypeError(`[${shape.join(", ")}] cannot be cut along axis ${axis} into ${sizes.join(", ")}`);
  const partShape = (size: number): number[] => shape.with(axis, size);
  const outer = elementCount(shape.slice(0, axis));
  const inner = elementCount(shape.slice(axis + 1));
  const size = elementBytes(datatype);
  if (size === undefined) {
    const elements = decodeBytesElements(data, elementCount(shape));
    return cut(sizes, (from, length) => ({ datatype, shape: partShape(length), data: encodeBytesElements(blocks(outer, (block) => elements.slice((block * whole + from) * inner, (block * whole + from + length) * inner)).flat()) }));
  }
  const stride = inner * size;
  return cut(sizes, (from, length) => {
    const parts = blocks(outer, (block) => data.subarray((block * whole + from) * stride, (block * whole + from + length) * stride));
    return { datatype, shape: partShape(length), data: parts.length === 1 ? (parts[0] as Uint8Array) : new Uint8Array(Buffer.concat(parts)) };
  });
}

function cut<T>(sizes: readonly number[], part: (from: number, length: number) => T): T[] {
  let from = 0;
  return sizes.map((length) => {
    const made = part(from, length);
    from += length;
    return made;
  });
}

function blocks<T>(count: number, block: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => block(index));
}
