import { planResize, type ImageSpec } from "./image-spec.ts";
import type { Picture } from "./picture.ts";
import { resample } from "./resample.ts";

/** The tensor of one picture, without a batch dimension: [channels, height, width] or [height, width, channels]. */
export function toTensor(picture: Picture, spec: ImageSpec): { shape: number[]; data: Uint8Array } {
  const plan = planResize(picture, spec);
  const resized = resample(picture, plan.source, plan.width, plan.height, spec.resample);
  const placed = plan.left === 0 && plan.top === 0 && plan.width === spec.width && plan.height === spec.height ? resized : place(resized, plan, spec);
  return valuesOf(placed, spec);
}

/** Puts a picture onto a canvas; what sticks out is cut off. */
function place(picture: Picture, { left, top }: { left: number; top: number }, { width, height, fill }: Pick<ImageSpec, "width" | "height" | "fill">): Picture {
  const rgb = new Uint8Array(width * height * 3).fill(fill);
  const [x0, x1] = [Math.max(0, left), Math.min(width, left + picture.width)];
  for (let y = Math.max(0, top); y < Math.min(height, top + picture.height); y++) {
    const from = ((y - top) * picture.width + (x0 - left)) * 3;
    if (x1 > x0) rgb.set(picture.rgb.subarray(from, from + (x1 - x0) * 3), (y * width + x0) * 3);
  }
  return { width, height, rgb };
}

/** Pixels as the model's numbers. */
export function valuesOf({ width, height, rgb }: Picture, spec: Pick<ImageSpec, "colors" | "layout" | "datatype" | "scale" | "mean" | "std">): { shape: number[]; data: Uint8Array } {
  const channels = spec.colors === "gray" ? 1 : 3;
  // Rounds and clamps where the model takes bytes.
  const values = spec.datatype === "UINT8" ? new Uint8ClampedArray(channels * width * height) : spec.datatype === "FP16" ? new Float16Array(channels * width * height) : new Float32Array(channels * width * height);
  const [pixelStride, channelStride] = spec.layout === "nchw" ? [1, width * height] : [channels, 1];
  for (let channel = 0; channel < channels; channel++) {
    // A pixel has 256 values: each is calculated once.
    const table = Float64Array.from({ length: 256 }, (_, pixel) => (pixel * spec.scale - pick(spec.mean, channel)) / pick(spec.std, channel));
    const source = spec.colors === "bgr" ? 2 - channel : channel;
    for (let pixel = 0; pixel < width * height; pixel++) {
      const value = spec.colors === "gray" ? luma(rgb, pixel * 3) : (rgb[pixel * 3 + source] as number);
      values[channel * channelStride + pixel * pixelStride] = table[value] as number;
    }
  }
  const shape = spec.layout === "nchw" ? [channels, height, width] : [height, width, channels];
  return { shape, data: new Uint8Array(values.buffer) };
}

/** ITU-R 601-2, in Pillow's fixed point. */
function luma(rgb: Uint8Array, at: number): number {
  return ((rgb[at] as number) * 19_595 + (rgb[at + 1] as number) * 38_470 + (rgb[at + 2] as number) * 7_471 + 0x8000) >> 16;
}

function pick(values: readonly number[], channel: number): number {
  return values[values.length === 1 ? 0 : channel] ?? 0;
}
