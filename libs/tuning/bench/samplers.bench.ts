// Samplers side by side: the median over 20 seeds of the best value so far, on six standard functions of 2 to 6 parameters,
// beside what Optuna 5's multivariate TPE reached on the same (test/goldens). Prints a table; with a path as argument it
// draws the picture of docs/guides/tuning.md. Leaves out: pruning, parallel trials, and time other than TPE's own.

import { readFileSync, writeFileSync } from "node:fs";
import { isBetter, randomSampler, sobolSampler, tpeSampler, type Sampler } from "../src/index.ts";
import { minimize, STANDARD_FUNCTIONS } from "../test/standard-functions.ts";
import { regretPicture, type RegretPanel } from "./regret-picture.ts";

const SEEDS = 20;
const TRIALS = 100;
const EVERY = 10;
/** Smallest values of the functions. */
const OPTIMA: Readonly<Record<string, number>> = { sphere: 0, branin: 0.397887, hartmann6: -3.32237, rastrigin: 0, mixed: 0, conditional: 0.1 };
const SAMPLERS: Readonly<Record<string, Sampler>> = { random: randomSampler(), Sobol: sobolSampler(), TPE: tpeSampler(), "TPE after Sobol": tpeSampler({ startup: sobolSampler() }) };

const golden = JSON.parse(readFileSync(new URL("../test/goldens/optuna-best-values.json", import.meta.url), "utf8")) as { readonly medianSoFar: Record<string, Record<string, readonly number[]>> };

const panels: RegretPanel[] = [];
let tpeMs = 0;
console.log(`regret (best value less the optimum) after ${TRIALS} trials, median of ${SEEDS} seeds\n`);
console.log(["function".padEnd(12), ...Object.keys(SAMPLERS), "Optuna random", "Optuna TPE"].join(" | "));
for (const [name, standard] of Object.entries(STANDARD_FUNCTIONS)) {
  const optimum = OPTIMA[name] ?? 0;
  const lines = Object.entries(SAMPLERS).map(([label, sampler]) => {
    const begun = performance.now();
    const runs = Array.from({ length: SEEDS }, (_, seed) => bestSoFar(minimize(standard, sampler, { seed, trialCount: TRIALS }).map(({ objective = NaN }) => objective)));
    if (label === "TPE") tpeMs += performance.now() - begun;
    return { label, regrets: Array.from({ length: TRIALS / EVERY }, (_, index) => median(runs.map((run) => run[(index + 1) * EVERY - 1] as number)) - optimum) };
  });
  const optuna = (sampler: string): number[] => (golden.medianSoFar[name]?.[sampler] ?? []).map((value) => value - optimum);
  panels.push({ title: name, every: EVERY, lines: [...lines, { label: "Optuna TPE", regrets: optuna("tpe") }] });
  console.log([name.padEnd(12), ...lines.map(({ regrets }) => regrets.at(-1)), optuna("random").at(-1), optuna("tpe").at(-1)].map((value) => (typeof value === "number" ? value.toPrecision(3) : String(value))).join(" | "));
}
console.log(`\nTPE: ${(tpeMs / (SEEDS * TRIALS * panels.length)).toFixed(2)} ms a suggestion, mean over the first ${TRIALS}`);

const [, , picture] = process.argv;
if (picture !== undefined) writeFileSync(picture, regretPicture(panels));

function bestSoFar(values: readonly number[]): number[] {
  let best = Infinity;
  return values.map((value) => (best = isBetter(value, best, "minimize") ? value : best));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] as number) + (sorted[Math.ceil((sorted.length - 1) / 2)] as number)) / 2;
}
