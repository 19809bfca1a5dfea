import { toJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Trial_State, TuningObjective_Direction, TuningStudy_State, type Trial, type TuningStudy } from "@servable/contracts/training/v1/tuning_study";
import type { Output } from "../terminal.ts";
import { lastPart } from "../common-options.ts";
import { renderTable } from "./table.ts";

/** Rows of a live table. */
const ROWS_SHOWN = 12;
const REDRAW_MS = 200;

/** Shows how a study goes on. */
export interface StudyView {
  study(study: TuningStudy): void;
  trial(trial: Trial): void;
  /** Leaves the last state standing. */
  stop(): void;
}

/** A table that is drawn again and again on a terminal; a line for each ended trial elsewhere. */
export function createStudyView(output: Output): StudyView {
  return output.isTTY === true ? liveView(output) : plainView(output);
}

/** A trial's settings in a line: "learning_rate=0.01 family=MLP". */
export function describeValues({ values }: Trial): string {
  return Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, value]) => `${path}=${shown(toJson(ValueSchema, value))}`)
    .join(" ");
}

/** Where a study is, with its counts and the time left. */
export function describeStudy(study: TuningStudy, trials: readonly Trial[], nowMs: number): string {
  const ended = trials.filter(({ state }) => state !== Trial_State.RUNNING).length;
  const elapsedS = nowMs / 1_000 - Number(study.createTime?.seconds ?? 0n);
  const left = ended === 0 ? undefined : (elapsedS / ended) * (study.maxTrialCount - ended);
  const count = (state: Trial_State): number => trials.filter((trial) => trial.state === state).length;
  return [
    `${lastPart(study.name)} · ${TuningStudy_State[study.state]}`,
    `${ended}/${study.maxTrialCount} trials`,
    `${count(Trial_State.RUNNING)} run`,
    ...(count(Trial_State.PRUNED) > 0 ? [`${count(Trial_State.PRUNED)} pruned`] : []),
    ...(count(Trial_State.FAILED) > 0 ? [`${count(Trial_State.FAILED)} failed`] : []),
    ...(left !== undefined && study.state === TuningStudy_State.RUNNING ? [`about ${duration(left)} left`] : []),
  ].join(" · ");
}

/** Trials as rows, the best first. */
export function renderTrials(study: TuningStudy, trials: readonly Trial[], limit: number): string {
  const sign = study.objective?.direction === TuningObjective_Direction.MAXIMIZE ? -1 : 1;
  const rank = ({ state, objective }: Trial): number => (state === Trial_State.RUNNING ? Number.MAX_VALUE / 2 : objective === undefined ? Number.MAX_VALUE : sign * objective);
  const rows = [...trials].sort((a, b) => rank(a) - rank(b) || a.number - b.number).slice(0, limit);
  return renderTable(
    ["trial", "state", study.objective?.metric ?? "objective", "settings"],
    rows.map((trial) => [trial.number, Trial_State[trial.state], number(trial.objective ?? trial.reports.at(-1)?.value), trial.failureReason === "" ? describeValues(trial) : `${describeValues(trial)} · ${trial.failureReason}`]),
  );
}

function liveView(output: Output): StudyView {
  const trials = new Map<number, Trial>();
  let study: TuningStudy | undefined;
  let linesDrawn = 0;
  let lastMs = 0;
  const draw = (): void => {
    if (study === undefined) return;
    const width = output.columns ?? 120;
    const lines = [describeStudy(study, [...trials.values()], Date.now()), "", ...renderTrials(study, [...trials.values()], ROWS_SHOWN).split("\n")].map((line) => line.slice(0, width - 1));
    output.write(`${linesDrawn > 0 ? `\u001b[${linesDrawn}A` : ""}${lines.map((line) => `\u001b[2K${line}\n`).join("")}`);
    linesDrawn = Math.max(linesDrawn, lines.length);
    lastMs = Date.now();
  };
  const soon = (): void => {
    if (Date.now() - lastMs >= REDRAW_MS) draw();
  };
  return {
    study: (next) => {
      study = next;
      soon();
    },
    trial: (trial) => {
      trials.set(trial.number, trial);
      soon();
    },
    stop: draw,
  };
}

function plainView(output: Output): StudyView {
  const trials = new Map<number, Trial>();
  let study: TuningStudy | undefined;
  return {
    study: (next) => {
      if (study?.state !== next.state) output.write(`  ${describeStudy(next, [...trials.values()], Date.now())}\n`);
      study = next;
    },
    trial: (trial) => {
      trials.set(trial.number, trial);
      if (trial.state === Trial_State.RUNNING) return;
      const best = bestOf(study, [...trials.values()]);
      output.write(`  trial ${trial.number} ${Trial_State[trial.state]} ${trial.failureReason || number(trial.objective ?? trial.reports.at(-1)?.value)} · ${describeValues(trial)}${best === undefined ? "" : ` · best ${number(best.objective)} (trial ${best.number})`}\n`);
    },
    stop: () => undefined,
  };
}

/** The best of the trials seen: a trial's end comes before the study's word on it. */
function bestOf(study: TuningStudy | undefined, trials: readonly Trial[]): Trial | undefined {
  const sign = study?.objective?.direction === TuningObjective_Direction.MAXIMIZE ? -1 : 1;
  return trials.reduce<Trial | undefined>((best, trial) => (trial.objective !== undefined && (best?.objective === undefined || sign * trial.objective < sign * best.objective) ? trial : best), undefined);
}

function shown(value: JsonValue): string {
  return typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value);
}

function number(value: number | undefined): string {
  return value === undefined ? "" : String(Number(value.toPrecision(4)));
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5_400 ? `${Math.ceil(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
