import { readFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { malformed, readIdx } from "./idx.ts";
import { readNpy, type NumberArray } from "./npy.ts";

/** Images with their labels. */
export interface ImageSet {
  /** Shape of one image: height, width, channels. */
  readonly shape: readonly number[];
  readonly count: number;
  /** Raw pixels, image after image. */
  readonly pixels: ArrayLike<number>;
  /** One label an image. */
  readonly labels: readonly string[];
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
  const images = read("images");
  const labels = read("labels");
  const [count = 0, ...inner] = images.shape;
  if (inner.length < 2 || inner.length > 3) throw malformed("images", `the shape is [${images.shape.join(", ")}]: [images, height, width] or [images, height, width, channels] is needed`);
  if (labels.shape.length !== 1 || labels.shape[0] !== count) throw malformed("labels", `the shape is [${labels.shape.join(", ")}]: one label for each of ${count} images is needed`);
  if (count === 0) throw malformed("images", "there are no images");
  if (count > rowsMax) throw new StatusError("DATASET_TOO_LARGE", `there are ${count} images, at most ${rowsMax} are allowed`);
  const texts = Array.from(labels.data, String);
  return { shape: inner.length === 2 ? [...inner, 1] : inner, count, pixels: images.data, labels: texts, classes: sortedClasses(texts) };
}

/** Distinct labels; ascending as numbers where all are numbers, else by the alphabet. */
export function sortedClasses(labels: readonly string[]): string[] {
  const distinct = [...new Set(labels)];
  const numeric = distinct.every((label) => label !== "" && Number.isFinite(Number(label)));
  return distinct.sort(numeric ? (a, b) => Number(a) - Number(b) : (a, b) => (a < b ? -1 : 1));
}
