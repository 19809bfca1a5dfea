// Pillow's resampling, to the bit: models were trained and recorded with it, and other libraries' bilinear does not
// antialias when it shrinks. Two passes, horizontal then vertical, each with coefficients in fixed point and rounded to 8
// bits. Source: Pillow, src/libImaging/Resample.c (precompute_coeffs, ImagingResampleHorizontal_8bpc).

import type { Box, Filter } from "./image-spec.ts";
import type { Picture } from "./picture.ts";

const PRECISION_BITS = 32 - 8 - 2;
const CHANNELS = 3;

const FILTERS: Readonly<Record<Exclude<Filter, "nearest">, { readonly support: number; readonly weight: (x: number) => number }>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5;
      const t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** A part of a picture at another size. */
export function resample(picture: Picture, source: Box, width: number, height: number, filter: Filter): Picture {
  if (filter === "nearest") return nearest(picture, source, width, height);
  const columns = coefficients(source.left, source.width, width, filter);
  const rows = coefficients(source.top, source.height, height, filter);
  // Only rows that the second pass reads are made by the first.
  const firstRow = rows.starts[0] ?? 0;
  const lastRow = (rows.starts[height - 1] ?? 0) + (rows.counts[height - 1] ?? 0);
  const narrow = horizontal(picture, columns, width, firstRow, lastRow);
  return vertical(narrow, rows, width, height, firstRow);
}

interface Coefficients {
  /** Of each output position: the first source position, how many, and their weights in fixed point. */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

function coefficients(from: number, length: number, size: number, filter: Exclude<Filter, "nearest">): Coefficients {
  const { support, weight } = FILTERS[filter];
  const scale = length / size;
  const filterScale = Math.max(1, scale);
  const reach = support * filterScale;
  const stride = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(size);
  const counts = new Int32Array(size);
  const weights = new Int32Array(size * stride);
  const exact = new Float64Array(stride);
  for (let index = 0; index < size; index++) {
    const center = from + (index + 0.5) * scale;
    // What lies outside of the part takes no share, as if it had been cut out first.
    const start = Math.max(from, Math.trunc(center - reach + 0.5));
    const end = Math.min(from + length, Math.trunc(center + reach + 0.5));
    let sum = 0;
    for (let at = start; at < end; at++) sum += exact[at - start] = weight((at - center + 0.5) / filterScale);
    for (let at = 0; at < end - start; at++) {
      const value = ((exact[at] ?? 0) / (sum === 0 ? 1 : sum)) * (1 << PRECISION_BITS);
      weights[index * stride + at] = Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
    }
    starts[index] = start;
    counts[index] = end - start;
  }
  return { starts, counts, weights, stride };
}

function horizontal({ rgb, width: sourceWidth }: Picture, { starts, counts, weights, stride }: Coefficients, width: number, firstRow: number, lastRow: number): Uint8Array {
  const out = new Uint8Array((lastRow - firstRow) * width * CHANNELS);
  for (let x = 0; x < width; x++) {
    const start = starts[x] as number;
    const count = counts[x] as number;
    for (let y = firstRow; y < lastRow; y++) {
      let [red, green, blue] = [1 << (PRECISION_BITS - 1), 1 << (PRECISION_BITS - 1), 1 << (PRECISION_BITS - 1)];
      let at = (y * sourceWidth + start) * CHANNELS;
      for (let tap = 0; tap < count; tap++, at += CHANNELS) {
        const weight = weights[x * stride + tap] as number;
        red += (rgb[at] as number) * weight;
        green += (rgb[at + 1] as number) * weight;
        blue += (rgb[at + 2] as number) * weight;
      }
      const to = ((y - firstRow) * width + x) * CHANNELS;
      out[to] = clip8(red);
      out[to + 1] = clip8(green);
      out[to + 2] = clip8(blue);
    }
  }
  return out;
}

function vertical(narrow: Uint8Array, { starts, counts, weights, stride }: Coefficients, width: number, height: number, firstRow: number): Picture {
  const row = width * CHANNELS;
  const rgb = new Uint8Array(height * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let tap = 0; tap < (counts[y] as number); tap++) {
      const weight = weights[y * stride + tap] as number;
      const from = ((starts[y] as number) + tap - firstRow) * row;
      for (let at = 0; at < row; at++) sums[at] = (sums[at] as number) + (narrow[from + at] as number) * weight;
    }
    for (let at = 0; at < row; at++) rgb[y * row + at] = clip8(sums[at] as number);
  }
  return { width, height, rgb };
}

function clip8(value: number): number {
  const pixel = value >> PRECISION_BITS;
  return pixel < 0 ? 0 : pixel > 255 ? 255 : pixel;
}

function nearest({ rgb, width: sourceWidth, height: sourceHeight }: Picture, source: Box, width: number, height: number): Picture {
  const out = new Uint8Array(width * height * CHANNELS);
  for (let y = 0; y < height; y++) {
    const v = Math.min(sourceHeight - 1, Math.floor(source.top + ((y + 0.5) * source.height) / height));
    for (let x = 0; x < width; x++) {
      const u = Math.min(sourceWidth - 1, Math.floor(source.left + ((x + 0.5) * source.width) / width));
      const from = (v * sourceWidth + u) * CHANNELS;
      out.set(rgb.subarray(from, from + CHANNELS), (y * width + x) * CHANNELS);
    }
  }
  return { width, height, rgb: out };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
