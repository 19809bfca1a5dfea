import { elementCount, isFloat, tensorOf, typedArrayOf, type Tensor } from "@servable/tensor";
import { pictureLayout } from "./features.ts";

/** Inputs that say nothing, as seen by the one they are compared with. */
export const BASELINES = ["zeros", "mean", "blur"] as const;

/** A kind of baseline; a number fills the input with itself, a token that means nothing for example. */
export type Baseline = (typeof BASELINES)[number] | number;

/**
 * The baseline of an example.
 *
 * zeros: 0 everywhere. mean: the example's own mean, of each channel for pictures. blur: the picture without what is smaller
 * than an eighth of it; what is no picture gets its mean. Whole numbers are rounded; texts are empty, whatever the kind.
 */
export function baselineOf(kind: Baseline, example: Tensor): Tensor {
  // A text that says nothing is empty.
  if (example.datatype === "BYTES") return tensorOf("BYTES", example.shape, new Array<string>(elementCount(example.shape, "example")).fill(""));
  if (kind === "zeros") return { ...example, data: new Uint8Array(example.data.length) };
  const filled = typeof kind === "number" ? new Array<number>(elementCount(example.shape, "example")).fill(kind) : smoothed(kind, example);
  return tensorOf(example.datatype, example.shape, isFloat(example.datatype) ? filled : filled.map(Math.round));
}

function smoothed(kind: "mean" | "blur", example: Tensor): number[] {
  const values = numbers(example);
  const layout = pictureLayout(example.shape);
  if (layout === undefined) return values.map(() => meanOf(values));
  const { channels, height, width, channelsLast } = layout;
  const result = new Array<number>(values.length);
  for (let channel = 0; channel < channels; channel++) {
    const place = (index: number): number => (channelsLast ? index * channels + channel : channel * height * width + index);
    const plane = Array.from({ length: height * width }, (_, index) => values[place(index)] ?? 0);
    const smooth = kind === "mean" ? plane.map(() => meanOf(plane)) : blur(plane, height, width);
    for (const [index, value] of smooth.entries()) result[place(index)] = value;
  }
  return result;
}

const BLUR_PASSES = 3;

/** Three box blurs along each axis are nearly a Gaussian (Wells, Efficient Synthesis of Gaussian Filters by Cascaded Uniform Filters, 1986). */
function blur(plane: readonly number[], height: number, width: number): readonly number[] {
  const radius = Math.max(1, Math.round(Math.min(height, width) / 16));
  let current = plane;
  for (let pass = 0; pass < BLUR_PASSES; pass++) {
    current = boxBlur(current, height, width, radius, 1, width);
    current = boxBlur(current, width, height, radius, width, 1);
  }
  return current;
}

/** Means over a window that slides along one axis: `lines` lines of `length` elements. */
function boxBlur(plane: readonly number[], lines: number, length: number, radius: number, step: number, lineStep: number): number[] {
  const result = new Array<number>(plane.length);
  for (let line = 0; line < lines; line++) {
    const at = (index: number): number => plane[line * lineStep + Math.min(Math.max(index, 0), length - 1) * step] ?? 0;
    let sum = 0;
    for (let index = -radius; index <= radius; index++) sum += at(index);
    for (let index = 0; index < length; index++) {
      result[line * lineStep + index * step] = sum / (2 * radius + 1);
      sum += at(index + radius + 1) - at(index - radius);
    }
  }
  return result;
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);

function numbers(tensor: Tensor): number[] {
  if (tensor.datatype === "BF16") {
    const single = new Float32Array(Uint32Array.from(typedArrayOf(tensor) as Uint16Array, (half) => half << 16).buffer);
    return Array.from(single);
  }
  return Array.from(typedArrayOf(tensor) as ArrayLike<number | bigint>, Number);
}
