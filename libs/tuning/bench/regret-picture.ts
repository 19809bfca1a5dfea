// A small picture: one panel a function, regret on a logarithmic axis by trials.

/** One panel. */
export interface RegretPanel {
  readonly title: string;
  /** Trials between two points. */
  readonly every: number;
  readonly lines: readonly { readonly label: string; readonly regrets: readonly number[] }[];
}

const [WIDTH, HEIGHT, COLUMNS] = [300, 210, 3];
const MARGIN = { left: 46, right: 10, top: 26, bottom: 30 };
const COLORS = ["#9ca3af", "#059669", "#2563eb", "#7c3aed", "#d97706"];
/** Below this the axis ends: a median of zero has no logarithm. */
const REGRET_MIN = 1e-4;

/** The panels as SVG. */
export function regretPicture(panels: readonly RegretPanel[]): string {
  const rows = Math.ceil(panels.length / COLUMNS);
  const labels = panels[0]?.lines.map(({ label }) => label) ?? [];
  const legend = labels.map((label, index) => `<g transform="translate(${MARGIN.left + index * 160} ${rows * HEIGHT + 12})"><rect width="18" height="3" y="-4" fill="${COLORS[index] ?? "#000"}"/><text x="24">${label}</text></g>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * COLUMNS} ${rows * HEIGHT + 24}" font-family="system-ui,sans-serif" font-size="11" fill="#374151"><rect width="100%" height="100%" fill="#fff"/>
${panels.map((panel, index) => `<g transform="translate(${(index % COLUMNS) * WIDTH} ${Math.floor(index / COLUMNS) * HEIGHT})">${panelOf(panel)}</g>`).join("\n")}
${legend.join("")}</svg>\n`;
}

function panelOf({ title, every, lines }: RegretPanel): string {
  const logs = lines.flatMap(({ regrets }) => regrets.map(logOf));
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  const trials = every * Math.max(...lines.map(({ regrets }) => regrets.length));
  const x = (trial: number): number => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * trial) / trials;
  const y = (log: number): number => HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * (log - low)) / Math.max(1, high - low);
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => low + index);
  return [
    `<text x="${MARGIN.left}" y="16" font-weight="600">${title}</text>`,
    ...ticks.map((log) => `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(log)}" y2="${y(log)}" stroke="#e5e7eb"/><text x="${MARGIN.left - 5}" y="${y(log) + 4}" text-anchor="end">${Number(`1e${log}`)}</text>`),
    ...[0, trials / 2, trials].map((trial) => `<text x="${x(trial)}" y="${HEIGHT - 14}" text-anchor="middle">${trial}</text>`),
    ...lines.map(({ regrets }, index) => `<polyline fill="none" stroke="${COLORS[index] ?? "#000"}" stroke-width="2" ${index === lines.length - 1 ? 'stroke-dasharray="5 4" ' : ""}points="${regrets.map((regret, at) => `${round(x((at + 1) * every))},${round(y(logOf(regret)))}`).join(" ")}"/>`),
  ].join("");
}

function logOf(regret: number): number {
  return Math.log10(Math.max(REGRET_MIN, regret));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
