// Plots as SVG that needs no script: d3's scales choose the ticks, its shapes write the paths, the page's style sheet has
// the colours. Every plot has a title and a description that is read aloud in its place.

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { html, type Html } from "./html.ts";

/** A point in the data's units. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** One line or cloud of a plot. */
export interface Series {
  readonly label: string;
  readonly points: readonly Point[];
  /** @default "line" */
  readonly mark?: "line" | "dots" | "dashed";
}

/** What a plot shows. */
export interface Plot {
  readonly title: string;
  /** What one sees, in a sentence. */
  readonly description: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Ends of the axes. @default those of the data */
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
}

const [WIDTH, HEIGHT] = [420, 280];
const MARGIN = { left: 56, right: 14, top: 12, bottom: 42 };
/** Colours of the style sheet; further series begin again. */
const COLORS = 10;
/** Points of a line that a screen can show; longer series are thinned. */
const POINTS_MAX = 500;

/** A plot as a figure. */
export function plot({ title, description, xLabel, yLabel, series, xDomain, yDomain }: Plot): Html {
  const shown = series.map((one) => ({ ...one, points: thinned(one.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))) }));
  const all = shown.flatMap(({ points }) => points);
  const x = scaleLinear([...(xDomain ?? extent(all.map((point) => point.x)))], [MARGIN.left, WIDTH - MARGIN.right]);
  const y = scaleLinear([...(yDomain ?? extent(all.map((point) => point.y)))], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice();
  const path = line<Point>().x((point) => round(x(point.x))).y((point) => round(y(point.y)));
  const [xText, yText] = [x.tickFormat(5), y.tickFormat(5)];
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"><title>${title}</title><desc>${description}</desc>
${x.ticks(5).map((tick) => html`<line class="grid" x1="${round(x(tick))}" x2="${round(x(tick))}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}"/><text class="tick" text-anchor="middle" x="${round(x(tick))}" y="${HEIGHT - MARGIN.bottom + 15}">${xText(tick)}</text>`)}
${y.ticks(5).map((tick) => html`<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${round(y(tick))}" y2="${round(y(tick))}"/><text class="tick" text-anchor="end" x="${MARGIN.left - 5}" y="${round(y(tick) + 3)}">${yText(tick)}</text>`)}
<text class="axis" text-anchor="middle" x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 6}">${xLabel}</text>
<text class="axis" text-anchor="middle" transform="rotate(-90)" x="${-(MARGIN.top + HEIGHT - MARGIN.bottom) / 2}" y="13">${yLabel}</text>
${shown.map(({ points, mark = "line" }, index) => (mark === "dots" ? html`<g class="s${index % COLORS}">${points.map((point) => html`<circle class="dot" r="2" cx="${round(x(point.x))}" cy="${round(y(point.y))}"/>`)}</g>` : html`<g class="s${index % COLORS}"><path class="${mark}" d="${path(points) ?? ""}"/>${points.length === 1 ? points.map((point) => html`<circle r="3" cx="${round(x(point.x))}" cy="${round(y(point.y))}"/>`) : ""}</g>`))}
</svg><figcaption>${title}${series.length > 1 ? html`<span class="legend">${series.map(({ label }, index) => html`<span class="key"><i class="s${index % COLORS}"></i>${label}</span>`)}</span>` : ""}</figcaption></figure>`;
}

function extent(values: readonly number[]): readonly [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= POINTS_MAX) return points;
  return Array.from({ length: POINTS_MAX }, (_, index) => points[Math.round((index * (points.length - 1)) / (POINTS_MAX - 1))] ?? { x: 0, y: 0 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
