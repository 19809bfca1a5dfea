import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import {
  hyperbandPruner,
  parameterImportance,
  percentilePruner,
  searchSpace,
  successiveHalvingPruner,
  thresholdPruner,
  type Direction,
  type Parameter,
  type Pruner,
  type Trial,
} from "../src/index.ts";
import { parzenEstimator } from "../src/samplers/parzen-estimator.ts";
import { truncatedQuantile } from "../src/samplers/truncated-normal.ts";

interface Golden {
  readonly parzen: readonly {
    readonly points: readonly number[][];
    readonly probes: readonly number[][];
    readonly weights: readonly number[];
    readonly mu: readonly number[][];
    readonly sigma: readonly number[][];
    readonly probabilities: readonly number[];
    readonly logDensities: readonly number[];
  }[];
  readonly quantiles: readonly [number, number, number, number, number, number][];
  readonly importances: readonly { readonly direction: Direction; readonly trials: readonly { readonly values: Record<string, number | string>; readonly objective: number }[]; readonly importance: Record<string, number> }[];
  readonly pruners: {
    readonly curves: readonly (number | null)[][];
    readonly waves: readonly [number, number][];
    readonly answers: Record<string, Record<Direction, readonly [number, number, boolean][]>>;
  };
}
const golden = JSON.parse(readFileSync(new URL("./goldens/optuna-internals.json", import.meta.url), "utf8")) as Golden;

/** Both compute in 64 bits, by other series for erf. */
const TOLERANCE = 1e-9;

function assertClose(got: ArrayLike<number>, want: ArrayLike<number>, what: string): void {
  assert.equal(got.length, want.length, what);
  for (let index = 0; index < want.length; index++) {
    const [a, b] = [got[index] as number, want[index] as number];
    assert.ok(Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(b)), `${what}[${index}] is ${a}, Optuna says ${b}`);
  }
}

const SPACE: readonly Parameter[] = [
  { kind: "float", name: "x", low: -5, high: 10 },
  { kind: "float", name: "rate", low: 1e-4, high: 1, log: true },
  { kind: "float", name: "half", low: 0, high: 2, step: 0.5 },
  { kind: "int", name: "units", low: 1, high: 300 },
  { kind: "int", name: "batch", low: 8, high: 512, log: true },
  { kind: "categorical", name: "kind", choices: ["a", "b", "c"] },
];

describe("the Parzen estimator beside Optuna's", () => {
  for (const { points, probes, weights, mu, sigma, probabilities, logDensities } of golden.parzen) {
    it(`has the same weights, centres, bandwidths and log densities after ${points.length} observations`, () => {
      const estimator = parzenEstimator(SPACE, points);

      assertClose(estimator.weights, weights, "weights");
      estimator.kernels.forEach((kernels, index) => {
        if (kernels.kind === "categorical") return assertClose(kernels.probabilities, probabilities, "probabilities");
        assertClose(kernels.mu, mu[index] as number[], `mu of ${kernels.parameter.name}`);
        assertClose(kernels.sigma, sigma[index] as number[], `sigma of ${kernels.parameter.name}`);
      });
      assertClose(probes.map((probe) => estimator.logDensity(probe)), logDensities, "log density");
    });
  }

  it("cuts normals at the same quantiles, also far in their tails", () => {
    assertClose(golden.quantiles.map(([share, mu, sigma, low, high]) => truncatedQuantile(share, mu, sigma, low, high)), golden.quantiles.map(([, , , , , want]) => want), "quantile");
  });
});

describe("parameter importance beside Optuna's PED-ANOVA", () => {
  const space = searchSpace([
    { kind: "float", name: "x", low: -5, high: 10 },
    { kind: "float", name: "rate", low: 1e-4, high: 1, log: true },
    { kind: "int", name: "units", low: 1, high: 20 },
    { kind: "categorical", name: "kind", choices: ["a", "b", "c"] },
  ]);
  for (const { direction, trials, importance } of golden.importances) {
    it(`weighs the parameters alike when asked to ${direction}`, () => {
      const got = parameterImportance(space, trials.map((trial, number) => ({ number, state: "COMPLETE", intermediate: [], ...trial })), direction);

      assertClose(got.map((entry) => entry.importance), got.map(({ parameter }) => importance[parameter] ?? NaN), "importance");
      assert.deepEqual(got.map(({ parameter }) => parameter), Object.keys(importance));
    });
  }
});

describe("pruners beside Optuna's", () => {
  const pruners: Readonly<Record<string, Pruner>> = {
    median: percentilePruner({ startupTrials: 5, warmupSteps: 3, intervalSteps: 2 }),
    percentile: percentilePruner({ percentile: 25, startupTrials: 3, comparedTrials: 2 }),
    asha: successiveHalvingPruner({ minResource: 1, reductionFactor: 3 }),
    "asha-late": successiveHalvingPruner({ minResource: 2, reductionFactor: 4, skippedRungs: 1 }),
    hyperband: hyperbandPruner({ minResource: 1, maxResource: 27, reductionFactor: 3, studyName: "golden" }),
    threshold: thresholdPruner({ lower: 0.2, upper: 1.6, warmupSteps: 2 }),
  };
  for (const [name, pruner] of Object.entries(pruners)) {
    for (const direction of ["minimize", "maximize"] as const) {
      it(`gives the same trials up at the same steps: ${name}, ${direction}`, () => {
        assert.deepEqual(replay(pruner, direction), golden.pruners.answers[name]?.[direction]);
      });
    }
  }
});

/** What optuna-internals.py does with a pruner. */
function replay(pruner: Pruner, direction: Direction): [number, number, boolean][] {
  const { curves, waves } = golden.pruners;
  const trials: Trial[] = curves.map((_, number) => ({ number, state: "RUNNING", values: {}, intermediate: [] }));
  const answers: [number, number, boolean][] = [];
  for (const [number, step] of waves) {
    const trial = trials[number] as Trial;
    if (trial.state !== "RUNNING") continue;
    const curve = curves[number] as (number | null)[];
    const reported: Trial = { ...trial, intermediate: [...trial.intermediate, { step, value: curve[step - 1] ?? NaN }] };
    trials[number] = reported;
    const pruned = pruner({ direction, trials, trial: reported });
    answers.push([number, step, pruned]);
    if (pruned) trials[number] = { ...reported, state: "PRUNED" };
    else if (step === curve.length) trials[number] = { ...reported, state: "COMPLETE", objective: curve.at(-1) ?? NaN };
  }
  return answers;
}
