import type { Pixels } from "./png.ts";

/** Attributions of a picture's elements: [channels, height, width] or [height, width, channels], a leading 1 may stand before them. */
export interface PictureAttribution {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** What spoke for the answer, and what against it. */
const FOR = [224, 32, 32] as const;
const AGAINST = [32, 96, 224] as const;
/** Single pixels are noise to the eye: the map is smoothed twice over this part of the picture to each side. */
const SMOOTHING_PART = 1 / 40;
/** The strongest hundredth of the picture gets full colour, a twentieth of that none. */
const FULL_COLOR_QUANTILE = 0.99;
const NO_COLOR_PART = 0.05;

/** The picture beside itself in grey, red where it spoke for the answer and blue where against. */
export function heatMap(picture: Pixels, attribution: PictureAttribution): Pixels {
  const { width, height, rgb } = picture;
  const heat = smoothed(perPixel(attribution, width, height), width, height);
  const full = quantile(heat.map(Math.abs), FULL_COLOR_QUANTILE);
  const result = new Uint8Array(width * 2 * height * 3);
  for (let row = 0; row < height; row++) {
    result.set(rgb.subarray(row * width * 3, (row + 1) * width * 3), row * width * 6);
    for (let column = 0; column < width; column++) {
      const pixel = row * width + column;
      const [red = 0, green = 0, blue = 0] = rgb.subarray(pixel * 3, pixel * 3 + 3);
      // Paler than the picture, so that colours stand out.
      const grey = 64 + 0.7 * (0.299 * red + 0.587 * green + 0.114 * blue);
      const part = full === 0 ? 0 : Math.abs(heat[pixel] ?? 0) / full;
      const strength = 0.85 * Math.min(1, Math.max(0, (part - NO_COLOR_PART) / (1 - NO_COLOR_PART)));
      const color = (heat[pixel] ?? 0) > 0 ? FOR : AGAINST;
      for (let channel = 0; channel < 3; channel++) result[(row * width * 2 + width + column) * 3 + channel] = Math.round(grey * (1 - strength) + (color[channel] ?? 0) * strength);
    }
  }
  return { width: width * 2, height, rgb: result };
}

/** The sum over channels. */
function perPixel({ shape, values }: PictureAttribution, width: number, height: number): Float64Array {
  const [a = 1, b = 1] = shape.slice(-3);
  const channels = values.length / (width * height);
  const first = a === channels && b === height;
  return Float64Array.from({ length: width * height }, (_, pixel) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += values[first ? channel * width * height + pixel : pixel * channels + channel] ?? 0;
    return sum;
  });
}

function smoothed(heat: Float64Array, width: number, height: number): Float64Array {
  const radius = Math.floor(Math.min(width, height) * SMOOTHING_PART);
  const along = (source: Float64Array, lines: number, length: number, step: number, lineStep: number): Float64Array => {
    const result = new Float64Array(source.length);
    for (let line = 0; line < lines; line++) {
      for (let index = 0; index < length; index++) {
        let [sum, count] = [0, 0];
        for (let at = Math.max(0, index - radius); at <= Math.min(length - 1, index + radius); at++) [sum, count] = [sum + (source[line * lineStep + at * step] ?? 0), count + 1];
        result[line * lineStep + index * step] = sum / count;
      }
    }
    return result;
  };
  const once = (source: Float64Array): Float64Array => along(along(source, height, width, 1, width), width, height, width, 1);
  return once(once(heat));
}

function quantile(values: Float64Array, part: number): number {
  const sorted = values.toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}
