import { html, plot, REPORT_STYLE, type Html, type Point } from "@servable/evaluation";
import { isBetter } from "@servable/tuning";
import { parallelCoordinates } from "./parallel-coordinates.ts";
import { shownValue } from "./spec-paths.ts";
import type { StudyRecord, TrialRecord } from "./study-records.ts";

/** Rows of the table of trials; the best are shown. */
const TRIALS_SHOWN_MAX = 500;

/** A page about a study, complete in itself: what was found, how it was found, what matters. */
export function studyReport(study: StudyRecord, trials: readonly TrialRecord[]): string {
  const { bestTrial: best, counts } = study;
  const id = study.name.slice(study.name.lastIndexOf("/") + 1);
  const complete = trials.filter(({ state }) => state === "COMPLETE");
  const page = html`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Study ${id}</title><style>${{ markup: REPORT_STYLE }}</style></head><body>
<h1>Study ${id}</h1><p class="soft">${study.state} · ${trials.length} of ${study.maxTrialCount} trials: ${counts.COMPLETE} complete, ${counts.PRUNED} pruned, ${counts.FAILED} failed, ${counts.RUNNING} running · ${study.sampler.algorithm.toUpperCase()}${study.pruner === undefined ? "" : ` with ${study.pruner.algorithm.toUpperCase()}`}, seed ${study.seed} · ${study.dataset} ${study.datasetDigest}</p>
${study.failureMessage === "" ? "" : html`<p>${study.failureMessage}</p>`}
<h2>Best trial</h2>${best === undefined ? html`<p>No trial has ended with an objective yet.</p>` : html`<p>Trial ${best.number}: ${study.metric} ${number(best.objective)}${best.foldObjectives.length > 1 ? ` (mean of ${best.foldObjectives.length} folds, standard deviation ${number(deviation(best.foldObjectives))})` : ""}</p><table>${Object.entries(best.values).map(([path, value]) => html`<tr><td>${path}</td><td class="code">${JSON.stringify(shownValue(path, value))}</td></tr>`)}</table>`}
${study.modelVersion === "" ? "" : html`<p>Registered as ${study.modelVersion}.</p>`}
${complete.length === 0 ? "" : html`<h2>Search</h2><div class="plots">${history(study, complete)}${curves(study, trials)}</div>${parallelCoordinates(study, trials)}`}
${study.importances.length === 0 ? "" : html`<h2>What matters</h2><p class="soft">How much of the difference between the best tenth of the trials and all of them each parameter explains (PED-ANOVA).</p><table><tr><th>Parameter</th><th class="number">Importance</th></tr>${study.importances.map(({ parameter, importance }) => html`<tr><td>${parameter}</td><td class="number">${number(importance)}</td></tr>`)}</table>`}
<h2>Trials</h2>${trialTable(study, trials)}
</body></html>`;
  return page.markup;
}

function history(study: StudyRecord, complete: readonly TrialRecord[]): Html {
  let best: number | undefined;
  const bests = complete.map(({ number: x, objective = 0 }): Point => {
    if (best === undefined || isBetter(objective, best, study.direction)) best = objective;
    return { x, y: best };
  });
  return plot({
    title: "Objective by trial",
    description: "Each trial's objective as a dot, the best so far as a line.",
    xLabel: "trial",
    yLabel: study.metric,
    series: [
      { label: "best so far", points: bests },
      { label: "trial", points: complete.map(({ number: x, objective = 0 }) => ({ x, y: objective })), mark: "dots" },
    ],
  });
}

function curves(study: StudyRecord, trials: readonly TrialRecord[]): Html {
  const reporting = trials.filter(({ reports }) => reports.length > 1).slice(-10);
  if (reporting.length === 0) return html``;
  return plot({
    title: "Reports on the way",
    description: "What the last ten trials reported with each look at the validation rows.",
    xLabel: study.crossValidation === undefined ? "look" : "fold",
    yLabel: study.metric,
    series: reporting.map(({ number: trial, state, reports }) => ({ label: `${trial}`, points: reports.map(({ step, value }) => ({ x: step, y: value })), ...(state === "PRUNED" ? { mark: "dashed" as const } : {}) })),
  });
}

function trialTable(study: StudyRecord, trials: readonly TrialRecord[]): Html {
  const worst = study.direction === "minimize" ? Infinity : -Infinity;
  const ranked = [...trials].sort((a, b) => {
    const [x, y] = [a.objective ?? worst, b.objective ?? worst];
    return x === y ? a.number - b.number : isBetter(x, y, study.direction) ? -1 : 1;
  });
  return html`<table><tr><th class="number">Trial</th><th>State</th><th class="number">${study.metric}</th>${study.parameters.map(({ name }) => html`<th>${name}</th>`)}<th>Remark</th></tr>
${ranked.slice(0, TRIALS_SHOWN_MAX).map((trial) => html`<tr><td class="number">${trial.number}</td><td>${trial.state}</td><td class="number">${number(trial.objective)}</td>${study.parameters.map(({ name }) => html`<td class="code">${shown(name, trial)}</td>`)}<td>${trial.failureMessage === "" ? remark(trial) : `${trial.failureReason}: ${trial.failureMessage}`}</td></tr>`)}</table>${ranked.length > TRIALS_SHOWN_MAX ? html`<p class="soft">and ${ranked.length - TRIALS_SHOWN_MAX} more</p>` : ""}`;
}

function shown(path: string, { values }: TrialRecord): string {
  const value = values[path];
  if (value === undefined) return "";
  return typeof value === "number" ? number(value) : JSON.stringify(shownValue(path, value));
}

function remark({ state, reports, foldObjectives }: TrialRecord): string {
  if (state === "PRUNED") return `given up at step ${reports.at(-1)?.step ?? 0} with ${number(reports.at(-1)?.value)}`;
  return foldObjectives.length > 1 ? `± ${number(deviation(foldObjectives))} over ${foldObjectives.length} folds` : "";
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
}

function number(value: number | undefined): string {
  return value === undefined ? "" : String(Number(value.toPrecision(4)));
}
