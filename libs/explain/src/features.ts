// Asking a model about every pixel on its own costs a question a pixel and tells little: neighbours say the same. So elements
// are grouped: windows of pictures through all channels, single tokens, single columns.

import type { Tensor } from "@servable/tensor";
import { decodeBytesElements, elementBytes, elementCount, encodeBytesElements } from "@servable/tensor";
import type { Attribution } from "./attribution.ts";

/** Elements of one input that are shown or hidden together. */
export interface Feature {
  readonly input: string;
  /** Indices of its elements, row-major. */
  readonly elements: Uint32Array;
}

/** How a picture is cut. */
export interface WindowOptions {
  /** Height and width of a window, in pixels. */
  readonly size: number;
  /** From one window to the next; smaller than `size`, windows overlap. @default size */
  readonly stride?: number;
}

/** How the axes of a picture lie: channels before or after rows and columns. */
export interface PictureLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly channelsLast: boolean;
}

const CHANNEL_COUNTS = new Set([1, 3, 4]);
/** A side shorter than this is no side of a picture but a short row of numbers. */
const SIDE_MIN = 8;

/** The layout of a picture in a tensor of one example, or undefined when the shape is no picture's. */
export function pictureLayout(shape: readonly number[]): PictureLayout | undefined {
  const sizes = shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape;
  const [a, b, c] = sizes;
  if (sizes.length !== 3 || a === undefined || b === undefined || c === undefined) return undefined;
  if (CHANNEL_COUNTS.has(a) && b >= SIDE_MIN && c >= SIDE_MIN) return { channels: a, height: b, width: c, channelsLast: false };
  if (CHANNEL_COUNTS.has(c) && a >= SIDE_MIN && b >= SIDE_MIN) return { channels: c, height: a, width: b, channelsLast: true };
  return undefined;
}

/** Windows over a picture, each through all channels; those at the edge are cut off. */
export function windowFeatures(input: string, { channels, height, width, channelsLast }: PictureLayout, { size, stride = size }: WindowOptions): Feature[] {
  const starts = (length: number): number[] => Array.from({ length: Math.max(1, Math.ceil((length - size) / stride) + 1) }, (_, index) => index * stride);
  const place = (channel: number, row: number, column: number): number => (channelsLast ? (row * width + column) * channels + channel : (channel * height + row) * width + column);
  return starts(height).flatMap((top) =>
    starts(width).map((left) => {
      const [rows, columns] = [Math.min(size, height - top), Math.min(size, width - left)];
      const elements = new Uint32Array(channels * rows * columns);
      let at = 0;
      for (let channel = 0; channel < channels; channel++) for (let row = top; row < top + rows; row++) for (let column = left; column < left + columns; column++) elements[at++] = place(channel, row, column);
      return { input, elements };
    }),
  );
}

/** Each element on its own; when there are more than `countMax`, runs of neighbours of equal length. */
export function elementFeatures(input: string, shape: readonly number[], countMax: number): Feature[] {
  const count = elementCount(shape, input);
  const run = Math.ceil(count / countMax);
  return Array.from({ length: Math.ceil(count / Math.max(run, 1)) }, (_, index) => ({ input, elements: Uint32Array.from({ length: Math.min(run, count - index * run) }, (_, offset) => index * run + offset) }));
}

/** Features of an input by its shape: a grid of about `gridSide`² windows for pictures, else elements. */
export function featuresOf(input: string, shape: readonly number[], { gridSide, countMax }: { readonly gridSide: number; readonly countMax: number }): Feature[] {
  const layout = pictureLayout(shape);
  if (layout === undefined) return elementFeatures(input, shape, countMax);
  return windowFeatures(input, layout, { size: Math.ceil(Math.max(layout.height, layout.width) / gridSide) });
}

/** The example with hidden features as in the baseline. */
export function maskedTensor(example: Tensor, baseline: Tensor, features: readonly Feature[], mask: Uint8Array): Tensor {
  const size = elementBytes(example.datatype);
  if (size === undefined) return maskedTexts(example, baseline, features, mask);
  const data = new Uint8Array(example.data);
  for (const [index, { elements }] of features.entries()) {
    if (mask[index] === 1) continue;
    for (const element of elements) data.set(baseline.data.subarray(element * size, (element + 1) * size), element * size);
  }
  return { ...example, data };
}

/** Texts differ in length, so they are taken apart and put together again. */
function maskedTexts(example: Tensor, baseline: Tensor, features: readonly Feature[], mask: Uint8Array): Tensor {
  const count = elementCount(example.shape, "example");
  const [texts, blanks] = [decodeBytesElements(example.data, count), decodeBytesElements(baseline.data, count)];
  for (const [index, { elements }] of features.entries()) {
    if (mask[index] === 1) continue;
    for (const element of elements) texts[element] = blanks[element] ?? new Uint8Array();
  }
  return { ...example, data: encodeBytesElements(texts) };
}

/**
 * What features are worth, shared out among their elements: each element of a feature gets the same part. Where features
 * overlap, an element gets the mean of its features' shares.
 */
export function spreadOver(input: string, shape: readonly number[], features: readonly Feature[], values: ArrayLike<number>): Attribution {
  const sums = new Float64Array(elementCount(shape, input));
  const covers = new Uint32Array(sums.length);
  for (const [index, { elements }] of features.entries()) {
    const share = (values[index] ?? 0) / elements.length;
    for (const element of elements) {
      sums[element] = (sums[element] ?? 0) + share;
      covers[element] = (covers[element] ?? 0) + 1;
    }
  }
  return { input, shape, values: sums.map((sum, element) => sum / Math.max(covers[element] ?? 1, 1)) };
}
