/** One line of a plot. */
export interface PlotLine {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** What a plot shows. */
export interface PlotOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Bounds of the y axis. */
  readonly yRange: readonly [min: number, max: number];
  readonly lines: readonly PlotLine[];
  /** Vertical marks with a text. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
  readonly percent?: boolean;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [760, 340, 62, 16, 40, 88];
/** Distinct for colour-blind readers too (Okabe and Ito, 2008). */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/** A line plot as SVG. It has a ground of its own, so that it can be read in light and dark pages. */
export function linePlot({ title, xLabel, yLabel, yRange: [yMin, yMax], lines, marks = [], percent = false }: PlotOptions): string {
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x));
  const [xMin, xMax] = [Math.min(...xs), Math.max(...xs)];
  const xOf = (x: number): number => LEFT + ((x - xMin) / (xMax - xMin)) * (WIDTH - LEFT - RIGHT);
  const yOf = (y: number): number => HEIGHT - BOTTOM - ((Math.min(yMax, Math.max(yMin, y)) - yMin) / (yMax - yMin)) * (HEIGHT - TOP - BOTTOM);
  const show = (value: number): string => (percent ? `${Math.round(value * 100)} %` : String(Math.round(value * 100) / 100));
  const steps = [0, 0.25, 0.5, 0.75, 1];
  const grid = steps.map((step) => {
    const value = yMin + step * (yMax - yMin);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${yOf(value).toFixed(1)}" y2="${yOf(value).toFixed(1)}" stroke="#ddd"/><text x="${LEFT - 8}" y="${(yOf(value) + 4).toFixed(1)}" text-anchor="end">${show(value)}</text>`;
  });
  const ticks = steps.map((step) => {
    const value = xMin + step * (xMax - xMin);
    return `<text x="${xOf(value).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${Math.round(value * 100) / 100}</text>`;
  });
  const flags = marks.map(({ x, label }) => `<line x1="${xOf(x).toFixed(1)}" x2="${xOf(x).toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#888" stroke-dasharray="4 3"/><text x="${(xOf(x) + 4).toFixed(1)}" y="${TOP + 12}" fill="#555">${label}</text>`);
  const drawn = lines.map(({ points }, index) => `<polyline fill="none" stroke="${COLORS[index % COLORS.length]}" stroke-width="2" points="${points.map(([x, y]) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`).join(" ")}"/>`);
  const legend = lines.map(({ label }, index) => `<rect x="${LEFT + index * 230}" y="${HEIGHT - 26}" width="14" height="4" fill="${COLORS[index % COLORS.length]}"/><text x="${LEFT + index * 230 + 20}" y="${HEIGHT - 20}">${label}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="22" font-size="14" font-weight="bold">${title}</text>
${[...grid, ...ticks, ...flags, ...drawn, ...legend].join("\n")}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - BOTTOM + 40}" text-anchor="middle">${xLabel}</text>
<text transform="translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${yLabel}</text>
</svg>
`;
}
