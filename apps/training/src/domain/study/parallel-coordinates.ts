import { html, type Html } from "@servable/evaluation";
import type { Parameter } from "@servable/tuning";
import { sameValue } from "@servable/tuning";
import { shownValue } from "./spec-paths.ts";
import type { StudyRecord, TrialRecord } from "./study-records.ts";

const [WIDTH, HEIGHT] = [920, 300];
const MARGIN = { left: 60, right: 70, top: 16, bottom: 44 };
/** Lines that an eye can tell apart. */
const TRIALS_SHOWN_MAX = 300;
/** Axes that fit beside each other. */
const AXES_MAX = 10;

/** Each COMPLETE trial as a line over its parameters to its objective; the best are the strongest. */
export function parallelCoordinates(study: Pick<StudyRecord, "parameters" | "direction" | "metric" | "importances">, trials: readonly TrialRecord[]): Html {
  const order = new Map(study.importances.map(({ parameter }, index) => [parameter, index]));
  const parameters = [...study.parameters].sort((a, b) => (order.get(a.name) ?? 99) - (order.get(b.name) ?? 99)).slice(0, AXES_MAX);
  const shown = trials
    .filter(({ objective }) => objective !== undefined)
    .sort((a, b) => ((b.objective ?? 0) - (a.objective ?? 0)) * (study.direction === "minimize" ? 1 : -1))
    .slice(-TRIALS_SHOWN_MAX);
  const objectives = shown.map(({ objective = 0 }) => objective);
  const [low, high] = [Math.min(...objectives), Math.max(...objectives)];
  const x = (axis: number): number => round(MARGIN.left + (axis * (WIDTH - MARGIN.left - MARGIN.right)) / parameters.length);
  const y = (share: number): number => round(HEIGHT - MARGIN.bottom - share * (HEIGHT - MARGIN.top - MARGIN.bottom));
  const lines = shown.map((trial, rank) => {
    const points = parameters.flatMap((parameter, axis) => {
      const share = shareOf(parameter, trial);
      return share === undefined ? [] : [`${x(axis)},${y(share)}`];
    });
    points.push(`${x(parameters.length)},${y(high === low ? 0.5 : ((trial.objective ?? low) - low) / (high - low))}`);
    // Worst first, so that the best lie on top.
    const strength = round(0.08 + 0.85 * (shown.length === 1 ? 1 : (rank / (shown.length - 1)) ** 3));
    return html`<polyline class="line s${rank === shown.length - 1 ? 1 : 0}" style="stroke-opacity:${strength}" points="${points.join(" ")}"/>`;
  });
  const axes = [...parameters.map((parameter) => ({ label: parameter.name, ...endsOf(parameter) })), { label: study.metric, bottom: short(low), top: short(high) }];
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"><title>Settings of the trials</title><desc>One line a trial, over its parameters to its objective; the best trial is drawn last.</desc>
${lines}
${axes.map(({ label, bottom, top }, axis) => html`<line class="grid" x1="${x(axis)}" x2="${x(axis)}" y1="${y(0)}" y2="${y(1)}"/><text class="tick" text-anchor="middle" x="${x(axis)}" y="${y(0) + 14}">${bottom}</text><text class="tick" text-anchor="middle" x="${x(axis)}" y="${y(1) - 4}">${top}</text><text class="axis" text-anchor="middle" x="${x(axis)}" y="${y(0) + 32}">${label}</text>`)}
</svg><figcaption>Settings of the trials, the most important first</figcaption></figure>`;
}

/** Where a trial's value lies on its axis, 0 to 1; undefined where the parameter did not count. */
function shareOf(parameter: Parameter, { values }: TrialRecord): number | undefined {
  const value = values[parameter.name];
  if (value === undefined) return undefined;
  if (parameter.kind === "categorical") return parameter.choices.length === 1 ? 0.5 : parameter.choices.findIndex((choice) => sameValue(choice, value)) / (parameter.choices.length - 1);
  if (parameter.high === parameter.low) return 0.5;
  const scale = parameter.log === true ? Math.log : (each: number): number => each;
  return (scale(value as number) - scale(parameter.low)) / (scale(parameter.high) - scale(parameter.low));
}

function endsOf(parameter: Parameter): { readonly bottom: string; readonly top: string } {
  if (parameter.kind !== "categorical") return { bottom: short(parameter.low), top: short(parameter.high) };
  const name = (index: number): string => String(shownValue(parameter.name, parameter.choices.at(index) ?? "")).slice(0, 16);
  return { bottom: name(0), top: name(-1) };
}

function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "";
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
