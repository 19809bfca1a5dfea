import type { Picture } from "./picture.ts";

/** A place in a picture, in pixels from the upper left corner. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Four corners: upper left, upper right, lower right, lower left, as the text runs. */
export type Quad = readonly [Point, Point, Point, Point];

const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

/**
 * Cuts a quadrilateral out of a picture and straightens it, by a perspective transformation with bilinear sampling; places
 * beyond the edge repeat it.
 */
export function warp(picture: Picture, quad: Quad): Picture {
  const [a, b, c, d] = quad;
  const width = Math.max(1, Math.round(Math.max(distance(a, b), distance(d, c))));
  const height = Math.max(1, Math.round(Math.max(distance(a, d), distance(b, c))));
  const map = perspective(quad, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) sample(picture, map(x, y), rgb, (y * width + x) * 3);
  }
  return { width, height, rgb };
}

/** The picture turned by 90° counterclockwise: for lines that run downwards. */
export function turnLeft({ width, height, rgb }: Picture): Picture {
  const out = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out.set(rgb.subarray((y * width + x) * 3, (y * width + x) * 3 + 3), ((width - 1 - x) * height + y) * 3);
  }
  return { width: height, height: width, rgb: out };
}

/** The picture upside down. */
export function turnAround({ width, height, rgb }: Picture): Picture {
  const out = new Uint8Array(rgb.length);
  for (let at = 0; at < rgb.length; at += 3) out.set(rgb.subarray(at, at + 3), rgb.length - 3 - at);
  return { width, height, rgb: out };
}

/**
 * Maps a place of the rectangle to the quadrilateral. Source: Heckbert, Fundamentals of Texture Mapping (1989), §2.2.3,
 * square to quadrilateral.
 */
function perspective([a, b, c, d]: Quad, width: number, height: number): (x: number, y: number) => Point {
  const [dx1, dx2, dx3] = [b.x - c.x, d.x - c.x, a.x - b.x + c.x - d.x];
  const [dy1, dy2, dy3] = [b.y - c.y, d.y - c.y, a.y - b.y + c.y - d.y];
  const determinant = dx1 * dy2 - dx2 * dy1;
  const [g, h] = determinant === 0 ? [0, 0] : [(dx3 * dy2 - dx2 * dy3) / determinant, (dx1 * dy3 - dx3 * dy1) / determinant];
  const right = { x: b.x - a.x + g * b.x, y: b.y - a.y + g * b.y };
  const down = { x: d.x - a.x + h * d.x, y: d.y - a.y + h * d.y };
  return (x, y) => {
    const [u, v] = [x / width, y / height];
    const depth = g * u + h * v + 1;
    return { x: (right.x * u + down.x * v + a.x) / depth, y: (right.y * u + down.y * v + a.y) / depth };
  };
}

function sample({ width, height, rgb }: Picture, { x, y }: Point, out: Uint8Array, to: number): void {
  const [u, v] = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  const [x0, y0] = [Math.floor(u), Math.floor(v)];
  const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
  const [fx, fy] = [u - x0, v - y0];
  for (let channel = 0; channel < 3; channel++) {
    const at = (column: number, row: number): number => rgb[(row * width + column) * 3 + channel] as number;
    const top = at(x0, y0) * (1 - fx) + at(x1, y0) * fx;
    const bottom = at(x0, y1) * (1 - fx) + at(x1, y1) * fx;
    out[to + channel] = Math.round(top * (1 - fy) + bottom * fy);
  }
}
