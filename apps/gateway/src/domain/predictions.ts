import { StatusError } from "@servable/errors";
import type { Tensor } from "@servable/tensor";
import { isBatched, type TensorHeader } from "./instances.ts";
import { jsonTokens, nestTokens } from "./json-text.ts";

/** An output of a model with its values. */
export interface NamedTensor {
  readonly header: TensorHeader;
  readonly tensor: Tensor;
}

/**
 * One JSON text for each of `count` examples: the bare value of a model's only output, or an object with all of them.
 * Outputs of shape [n,1] give plain values. With `bare`, so does any output that has one element an example.
 *
 * @throws StatusError `INFERENCE_FAILED` when an output has no value for each example
 */
export function predictionTexts(outputs: readonly NamedTensor[], count: number, bare = false): string[] {
  const columns = outputs.map((output) => columnOf(output, count, bare));
  const [only] = columns;
  if (only !== undefined && columns.length === 1) return only;
  return Array.from({ length: count }, (_, row) => `{${columns.map((column, index) => `${JSON.stringify(outputs[index]?.header.name)}:${column[row] ?? "null"}`).join(",")}}`);
}

function columnOf({ header, tensor }: NamedTensor, count: number, bare: boolean): string[] {
  const tokens = jsonTokens(tensor, header.name, "base64");
  if (count === 1 && !(isBatched(header) && tensor.shape[0] === 1)) return [nestTokens(tokens, bare && tokens.length === 1 ? [] : tensor.shape)];
  const [rows, ...shape] = tensor.shape;
  if (rows !== count) {
    throw new StatusError("INFERENCE_FAILED", `the model's output ${header.name} has the shape [${tensor.shape.join(",")}] for ${count} examples: call it through /v2, which returns whole tensors`);
  }
  const stride = tokens.length / count;
  const single = stride === 1 && (bare || (header.shape.length === 2 && header.shape[1] === 1));
  return Array.from({ length: count }, (_, row) => nestTokens(tokens.slice(row * stride, (row + 1) * stride), single ? [] : shape));
}
