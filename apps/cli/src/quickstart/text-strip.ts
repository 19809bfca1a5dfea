import type { Digits } from "./real-data.ts";

// The recogniser reads lines of text 48 pixels high, dark on light. A line of real handwriting is made by setting digits
// of the MNIST test set side by side, each cut to its ink and scaled up.

const HEIGHT = 48;
const SIDE = 28;
const SCALE = HEIGHT / SIDE;
const GAP = 6;
const MARGIN = 12;
const INK_MIN = 40;

/** A grey picture, 0 = black. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly pixels: Uint8Array;
}

/** The digits at `indexes`, written one behind the other. */
export function drawStrip(digits: Digits, indexes: readonly number[]): Picture {
  const glyphs = indexes.map((index) => {
    const image = digits.image(index);
    const { first, last } = inkColumns(image);
    return { image, first, width: Math.round((last - first + 1) * SCALE) };
  });
  const width = 2 * MARGIN + GAP * (glyphs.length - 1) + glyphs.reduce((sum, glyph) => sum + glyph.width, 0);
  const pixels = new Uint8Array(width * HEIGHT).fill(255);
  let left = MARGIN;
  for (const { image, first, width: glyphWidth } of glyphs) {
    for (let y = 0; y < HEIGHT; y += 1) {
      for (let x = 0; x < glyphWidth; x += 1) pixels[y * width + left + x] = 255 - bilinear(image, first + x / SCALE, y / SCALE);
    }
    left += glyphWidth + GAP;
  }
  return { width, height: HEIGHT, pixels };
}

/** The recogniser's input: three equal channels, −1 to 1. Shape [1, 3, height, width]. */
export function stripTensor({ width, height, pixels }: Picture): { shape: number[]; data: Float32Array } {
  const plane = Float32Array.from(pixels, (value) => (value / 255 - 0.5) / 0.5);
  const data = new Float32Array(3 * plane.length);
  for (let channel = 0; channel < 3; channel += 1) data.set(plane, channel * plane.length);
  return { shape: [1, 3, height, width], data };
}

/** A picture as text, two pixel rows a line. */
export function renderPicture({ width, height, pixels }: Picture, columns: number): string[] {
  const step = width / columns;
  const rows = Math.floor(height / (2 * step));
  const dark = (column: number, halfRow: number): boolean => (pixels[Math.floor((halfRow + 0.5) * step) * width + Math.floor((column + 0.5) * step)] ?? 255) < 128;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_unused, column) => {
      const [upper, lower] = [dark(column, 2 * row), dark(column, 2 * row + 1)];
      return upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ";
    })
      .join("")
      .trimEnd(),
  ).filter((line) => line !== "");
}

function inkColumns(image: Uint8Array): { first: number; last: number } {
  const inked = Array.from({ length: SIDE }, (_, x) => x).filter((x) => Array.from({ length: SIDE }, (_unused, y) => image[y * SIDE + x] ?? 0).some((value) => value > INK_MIN));
  return { first: inked[0] ?? 0, last: inked.at(-1) ?? SIDE - 1 };
}

function bilinear(image: Uint8Array, x: number, y: number): number {
  const [x0, y0] = [Math.min(Math.floor(x), SIDE - 2), Math.min(Math.floor(y), SIDE - 2)];
  const [fx, fy] = [Math.min(x - x0, 1), Math.min(y - y0, 1)];
  const at = (column: number, row: number): number => image[row * SIDE + column] ?? 0;
  return Math.round(at(x0, y0) * (1 - fx) * (1 - fy) + at(x0 + 1, y0) * fx * (1 - fy) + at(x0, y0 + 1) * (1 - fx) * fy + at(x0 + 1, y0 + 1) * fx * fy);
}
