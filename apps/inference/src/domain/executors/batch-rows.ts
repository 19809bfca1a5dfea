import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { decodeBytesElements, elementCount } from "@servable/tensor";

/** An output of a batch does not have the batch's rows: the model does not batch. */
export class RowsMissing extends StatusError {
  constructor({ name, shape }: NamedTensor, rows: number) {
    super("INFERENCE_FAILED", `output '${name}' has the shape [${shape.join(",")}] for a batch of ${rows}: the model does not batch; leave max_batch_size out`);
  }
}

/**
 * Cuts the outputs of a batch along the first axis, as many rows for each request as it brought; numbers are views, not
 * copies.
 *
 * @throws RowsMissing
 */
export function splitRows(outputs: readonly NamedTensor[], sizes: readonly number[]): NamedTensor[][] {
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  const parts: NamedTensor[][] = sizes.map(() => []);
  for (const output of outputs) {
    if (output.shape[0] !== rows) throw new RowsMissing(output, rows);
    const offsets = rowOffsets(output, rows);
    let row = 0;
    for (const [index, size] of sizes.entries()) {
      parts[index]?.push({ ...output, shape: [size, ...output.shape.slice(1)], data: output.data.subarray(offsets(row), offsets(row + size)) });
      row += size;
    }
  }
  return parts;
}

/** Where each row begins; the row behind the last one begins at the end. */
function rowOffsets({ datatype, shape, data, name }: NamedTensor, rows: number): (row: number) => number {
  if (datatype !== "BYTES") {
    const rowBytes = rows === 0 ? 0 : data.length / rows;
    return (row) => row * rowBytes;
  }
  const perRow = elementCount(shape.slice(1), name);
  const elements = decodeBytesElements(data, rows * perRow, name);
  const starts = [0];
  for (const element of elements) starts.push((starts.at(-1) ?? 0) + 4 + element.length);
  return (row) => starts[row * perRow] ?? data.length;
}
