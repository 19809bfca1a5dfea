// The functions of goldens/optuna-best-values.py, over the same spaces.

import { searchSpace, type Assignment, type Parameter, type Sampler, type SearchSpace, type Trial } from "../src/index.ts";

/** A function to minimise. */
export interface StandardFunction {
  readonly space: SearchSpace;
  readonly evaluate: (values: Assignment) => number;
}

const floats = (count: number, low: number, high: number): Parameter[] => Array.from({ length: count }, (_, index) => ({ kind: "float", name: `x${index}`, low, high }));
const coordinates = (values: Assignment, count: number): number[] => Array.from({ length: count }, (_, index) => values[`x${index}`] as number);

const A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]];
const P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]];
const C = [1, 1.2, 3, 3.2];

export const STANDARD_FUNCTIONS: Readonly<Record<string, StandardFunction>> = {
  sphere: { space: searchSpace(floats(4, -5, 5)), evaluate: (values) => coordinates(values, 4).reduce((sum, x) => sum + x * x, 0) },
  branin: {
    space: searchSpace([
      { kind: "float", name: "x", low: -5, high: 10 },
      { kind: "float", name: "y", low: 0, high: 15 },
    ]),
    evaluate: (values) => {
      const [x, y] = [values["x"] as number, values["y"] as number];
      return (y - (5.1 / (4 * Math.PI ** 2)) * x * x + (5 / Math.PI) * x - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
    },
  },
  hartmann6: {
    space: searchSpace(floats(6, 0, 1)),
    evaluate: (values) => {
      const x = coordinates(values, 6);
      return -C.reduce((sum, c, i) => sum + c * Math.exp(-x.reduce((inner, v, j) => inner + (A[i]?.[j] ?? 0) * (v - 1e-4 * (P[i]?.[j] ?? 0)) ** 2, 0)), 0);
    },
  },
  rastrigin: {
    space: searchSpace(floats(4, -5.12, 5.12)),
    evaluate: (values) => 40 + coordinates(values, 4).reduce((sum, x) => sum + x * x - 10 * Math.cos(2 * Math.PI * x), 0),
  },
  mixed: {
    space: searchSpace([
      { kind: "float", name: "rate", low: 1e-5, high: 1, log: true },
      { kind: "int", name: "units", low: 8, high: 512, log: true },
      { kind: "int", name: "layers", low: 1, high: 6 },
      { kind: "categorical", name: "kind", choices: ["adam", "sgd", "lion"] },
    ]),
    evaluate: ({ rate, units, layers, kind }) => {
      const best = { adam: -3, sgd: -1, lion: -4 }[kind as string] as number;
      const handicap = { adam: 0, sgd: 0.3, lion: 0.1 }[kind as string] as number;
      return (Math.log10(rate as number) - best) ** 2 + 0.1 * (Math.log2(units as number) - 6.3) ** 2 + 0.2 * ((layers as number) - 3) ** 2 + handicap;
    },
  },
  conditional: {
    space: searchSpace([
      { kind: "categorical", name: "family", choices: ["linear", "mlp"] },
      { kind: "float", name: "l2", low: 1e-6, high: 1, log: true, when: [{ parameter: "family", oneOf: ["linear"] }] },
      { kind: "float", name: "rate", low: 1e-5, high: 1, log: true, when: [{ parameter: "family", oneOf: ["mlp"] }] },
      { kind: "int", name: "layers", low: 1, high: 5, when: [{ parameter: "family", oneOf: ["mlp"] }] },
    ]),
    evaluate: ({ family, l2, rate, layers }) =>
      family === "linear" ? 0.5 + (Math.log10(l2 as number) + 3) ** 2 / 10 : (Math.log10(rate as number) + 2.5) ** 2 / 4 + 0.1 * ((layers as number) - 2) ** 2 + 0.05 * (layers as number),
  },
};

/** Minimises with a sampler, one trial after the other, and answers the trials. */
export function minimize({ space, evaluate }: StandardFunction, sampler: Sampler, { seed, trialCount }: { readonly seed: number; readonly trialCount: number }): Trial[] {
  const trials: Trial[] = [];
  for (let number = 0; number < trialCount; number++) {
    const values = sampler({ space, direction: "minimize", trials, number, seed });
    if (values === undefined) break;
    trials.push({ number, state: "COMPLETE", values, objective: evaluate(values), intermediate: [] });
  }
  return trials;
}
