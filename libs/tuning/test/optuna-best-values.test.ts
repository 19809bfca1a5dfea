import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { bestTrial, randomSampler, sobolSampler, tpeSampler, type Sampler } from "../src/index.ts";
import { minimize, STANDARD_FUNCTIONS } from "./standard-functions.ts";

const golden = JSON.parse(readFileSync(new URL("./goldens/optuna-best-values.json", import.meta.url), "utf8")) as {
  readonly seeds: number;
  readonly trials: number;
  readonly best: Record<string, Record<string, readonly number[]>>;
};

/**
 * Two samples of 20 from the same distribution differ by more than this Kolmogorov–Smirnov distance once in a thousand
 * times; the seeds are fixed, so the test does not flicker. optuna-internals.test.ts compares what is inside.
 */
const DISTANCE_MAX = 0.6;

describe("best values after 100 trials beside Optuna's, over 20 seeds", () => {
  const samplers: Readonly<Record<string, Sampler>> = { tpe: tpeSampler(), random: randomSampler(), sobol: sobolSampler() };
  for (const name of Object.keys(STANDARD_FUNCTIONS)) {
    for (const [sampler, suggest] of Object.entries(samplers)) {
      it(`are distributed alike: ${sampler} on ${name}`, () => {
        const got = bestOver(name, suggest);
        const want = golden.best[name]?.[sampler] ?? [];

        const distance = kolmogorovSmirnov(got, want);

        assert.ok(distance <= DISTANCE_MAX, `distance ${distance}: median ${median(got)}, Optuna's ${median(want)}`);
        });
    }
  }

  it("are told apart from those of a sampler that learns nothing", () => {
    const distance = kolmogorovSmirnov(bestOver("sphere", randomSampler()), golden.best["sphere"]?.["tpe"] ?? []);

    assert.ok(distance > DISTANCE_MAX, `distance ${distance}`);
  });
});

function bestOver(name: string, sampler: Sampler): number[] {
  const standard = STANDARD_FUNCTIONS[name];
  assert.ok(standard !== undefined);
  return Array.from({ length: golden.seeds }, (_, seed) => bestTrial(minimize(standard, sampler, { seed, trialCount: golden.trials }), "minimize")?.objective ?? NaN);
}

function kolmogorovSmirnov(a: readonly number[], b: readonly number[]): number {
  const share = (values: readonly number[], bound: number): number => values.filter((value) => value <= bound).length / values.length;
  return Math.max(...[...a, ...b].map((bound) => Math.abs(share(a, bound) - share(b, bound))));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] as number) + (sorted[Math.ceil((sorted.length - 1) / 2)] as number)) / 2;
}
