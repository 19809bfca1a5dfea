import { readFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { readIdx } from "./idx.ts";
import { malformed } from "./malformed.ts";
import { readNpy, type NumberArray } from "./npy.ts";

/** Images in memory with their labels. */
export interface ImageSet {
  /** Shape of one image: height, width, channels. */
  readonly shape: readonly [number, number, number];
  readonly count: number;
  /** Raw pixels, image after image. */
  readonly pixels: ArrayLike<number>;
  /** Index of each image's label in {@link classes}. */
  readonly labels: Uint32Array;
  /** Distinct labels; ascending as numbers where all are. */
  readonly classes: readonly string[];
}

/** Reads images and labels. @throws StatusError `DATASET_MALFORMED`, `DATASET_TOO_LARGE` */
export function readImages(format: "idx" | "npy", files: readonly { readonly role: string; readonly path: string }[], rowsMax: number): ImageSet {
  const read = (role: string): NumberArray => {
    const path = files.find((file) => file.role === role)?.path;
    if (path === undefined) throw malformed(role, "the file is missing");
    return (format === "idx" ? readIdx : readNpy)(role, readFileSync(path));
  };
  return imageSetOf(read("images"), read("labels"), rowsMax);
}

/** Images out of two arrays. @throws StatusError `DATASET_MALFORMED` naming the image where a pixel is no number, `DATASET_TOO_LARGE` */
export function imageSetOf(images: NumberArray, labels: NumberArray, rowsMax: number): ImageSet {
  const [count = 0, height = 0, width = 0, channels = 1] = images.shape;
  if (images.shape.length < 3 || images.shape.length > 4) throw malformed("images", `the shape is [${images.shape.join(", ")}]: [images, height, width] or [images, height, width, channels] is needed`);
  if (labels.shape.length !== 1 || labels.shape[0] !== count) throw malformed("labels", `the shape is [${labels.shape.join(", ")}]: one label for each of ${count} images is needed`);
  if (count === 0) throw malformed("images", "there are no images");
  if (count > rowsMax) throw new StatusError("DATASET_TOO_LARGE", `there are ${count} images, at most ${rowsMax} are allowed`);
  checkFinite("images", images.data, height * width * channels);
  checkFinite("labels", labels.data, 1);
  return { shape: [height, width, channels], count, pixels: images.data, ...labelled(Array.from(labels.data, String)) };
}

/** Labels as indices of their classes. */
export function labelled(texts: readonly string[]): { labels: Uint32Array; classes: readonly string[] } {
  const classes = sortedClasses(texts);
  const indices = new Map(classes.map((name, index) => [name, index]));
  return { classes, labels: Uint32Array.from(texts, (text) => indices.get(text) ?? 0) };
}

/** Distinct labels; ascending as numbers where all are numbers, else by the alphabet. */
export function sortedClasses(labels: readonly string[]): string[] {
  const distinct = [...new Set(labels)];
  const numeric = distinct.every((label) => label !== "" && Number.isFinite(Number(label)));
  return distinct.sort(numeric ? (a, b) => Number(a) - Number(b) : (a, b) => (a < b ? -1 : 1));
}

function checkFinite(role: string, values: ArrayLike<number>, size: number): void {
  if (!(values instanceof Float32Array || values instanceof Float64Array)) return;
  const at = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (at >= 0) throw malformed(role, `row ${Math.floor(at / size) + 1}: ${values[at]} is no number that f32 holds`);
}
