// From a map of probabilities to boxes around lines of text, as DB ("differentiable binarization") has it: threshold,
// connected regions, the smallest rectangle around each, grown again since the map is shrunk by design.
// Source: Liao et al., Real-time Scene Text Detection with Differentiable Binarization (2020), section 3.4.

import type { Point, Quad } from "@servable/images";

/** How a map becomes boxes. */
export interface BoxRules {
  readonly threshold: number;
  readonly boxThreshold: number;
  readonly unclip: number;
  readonly minSide: number;
  readonly boxesMax: number;
}

/** Boxes of a map [height, width], in its own pixels, in the order of reading. */
export function textBoxes(map: Float32Array, width: number, height: number, rules: BoxRules): Quad[] {
  const boxes: Quad[] = [];
  for (const { outline, mean } of regionsOf(map, width, height, rules.threshold)) {
    if (boxes.length >= rules.boxesMax) break;
    if (mean < rules.boxThreshold) continue;
    const rectangle = smallestRectangle(convexHull(outline));
    if (Math.min(rectangle.width, rectangle.height) < rules.minSide) continue;
    boxes.push(cornersOf(grow(rectangle, rules.unclip)));
  }
  return inReadingOrder(boxes);
}

interface Region {
  /** First and last pixel of each row, corners of pixels: enough for the hull. */
  readonly outline: Point[];
  readonly mean: number;
}

/** Regions of pixels above the threshold that touch each other, diagonally too. */
function* regionsOf(map: Float32Array, width: number, height: number, threshold: number): Generator<Region> {
  const seen = new Uint8Array(map.length);
  const stack: number[] = [];
  for (let seed = 0; seed < map.length; seed++) {
    if (seen[seed] === 1 || !((map[seed] as number) > threshold)) continue;
    const rows = new Map<number, [first: number, last: number]>();
    let sum = 0;
    let count = 0;
    seen[seed] = 1;
    stack.push(seed);
    while (stack.length > 0) {
      const at = stack.pop() as number;
      const [x, y] = [at % width, Math.floor(at / width)];
      sum += map[at] as number;
      count++;
      const row = rows.get(y);
      rows.set(y, row === undefined ? [x, x] : [Math.min(row[0], x), Math.max(row[1], x)]);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u;
          if (seen[next] === 1 || !((map[next] as number) > threshold)) continue;
          seen[next] = 1;
          stack.push(next);
        }
      }
    }
    const outline = [...rows].flatMap(([y, [first, last]]) => [{ x: first, y }, { x: last + 1, y }, { x: first, y: y + 1 }, { x: last + 1, y: y + 1 }]);
    yield { outline, mean: sum / count };
  }
}

/** Andrew's monotone chain, counterclockwise as y grows upwards. */
function convexHull(points: Point[]): Point[] {
  points.sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (ordered: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (chain.length >= 2 && cross(chain.at(-2) as Point, chain.at(-1) as Point, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(points), ...half(points.toReversed())];
}

function cross(a: Point, b: Point, c: Point): number {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

interface Rectangle {
  readonly center: Point;
  readonly width: number;
  readonly height: number;
  /** Direction of the width. */
  readonly axis: Point;
}

/** An upright rectangle is taken unless a slanted one saves this share of it: the slant of a short word is chance. */
const SLANT_SAVES_MIN = 0.08;

/** The rectangle of the least area around a hull: one of its sides lies on a side of the hull. */
function smallestRectangle(hull: readonly Point[]): Rectangle {
  const upright = rectangleAlong(hull, { x: 1, y: 0 });
  let best = upright;
  hull.forEach((from, index) => {
    const to = hull[(index + 1) % hull.length] as Point;
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const slanted = rectangleAlong(hull, { x: (to.x - from.x) / length, y: (to.y - from.y) / length });
    if (areaOf(slanted) < areaOf(best)) best = slanted;
  });
  return areaOf(best) < areaOf(upright) * (1 - SLANT_SAVES_MIN) ? best : upright;
}

function rectangleAlong(hull: readonly Point[], axis: Point): Rectangle {
  let [u0, u1, v0, v1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const point of hull) {
    const [u, v] = [point.x * axis.x + point.y * axis.y, point.y * axis.x - point.x * axis.y];
    [u0, u1, v0, v1] = [Math.min(u0, u), Math.max(u1, u), Math.min(v0, v), Math.max(v1, v)];
  }
  const [u, v] = [(u0 + u1) / 2, (v0 + v1) / 2];
  return { center: { x: u * axis.x - v * axis.y, y: u * axis.y + v * axis.x }, width: u1 - u0, height: v1 - v0, axis };
}

function areaOf({ width, height }: Rectangle): number {
  return width * height;
}

/** Every side moves outwards by area · ratio / circumference. */
function grow(rectangle: Rectangle, ratio: number): Rectangle {
  const { width, height } = rectangle;
  const distance = (width * height * ratio) / (2 * (width + height));
  return { ...rectangle, width: width + 2 * distance, height: height + 2 * distance };
}

/** Corners from the upper left one on, clockwise on the screen. */
function cornersOf({ center, width, height, axis }: Rectangle): Quad {
  const corner = (u: number, v: number): Point => ({ x: center.x + (u * axis.x * width) / 2 - (v * axis.y * height) / 2, y: center.y + (u * axis.y * width) / 2 + (v * axis.x * height) / 2 });
  const byColumn = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)].sort((a, b) => a.x - b.x);
  const [a, b, c, d] = byColumn as [Point, Point, Point, Point];
  const [upperLeft, lowerLeft] = a.y <= b.y ? [a, b] : [b, a];
  const [upperRight, lowerRight] = c.y <= d.y ? [c, d] : [d, c];
  return [upperLeft, upperRight, lowerRight, lowerLeft];
}

/** From the top, and within a row from the left; boxes are of one row when their middles are less than half a line apart. */
function inReadingOrder(boxes: Quad[]): Quad[] {
  const middle = (box: Quad): number => box.reduce((sum, { y }) => sum + y, 0) / box.length;
  const lineHeight = ([a, , , d]: Quad): number => Math.hypot(d.x - a.x, d.y - a.y);
  const rows: Quad[][] = [];
  for (const box of boxes.toSorted((a, b) => middle(a) - middle(b))) {
    const row = rows.at(-1);
    const [first] = row ?? [];
    if (row !== undefined && first !== undefined && middle(box) - middle(first) < Math.min(lineHeight(box), lineHeight(first)) / 2) row.push(box);
    else rows.push([box]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a[0].x - b[0].x));
}
