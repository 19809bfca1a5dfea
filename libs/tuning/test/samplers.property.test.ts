import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom, type SeededRandom } from "@servable/testing";
import { gridSampler, randomSampler, searchSpace, sobolSampler, tpeSampler, type Assignment, type Parameter, type Sampler, type SearchSpace, type Trial } from "../src/index.ts";

const SAMPLERS: Readonly<Record<string, Sampler>> = {
  random: randomSampler(),
  sobol: sobolSampler(),
  "plain sobol": sobolSampler({ scramble: false }),
  tpe: tpeSampler({ startupTrials: 3, candidates: 6 }),
  grid: gridSampler({ pointsPerFloat: 2 }),
};
const SPACES = 40;
const TRIALS = 15;

describe("every sampler, over random spaces with conditions", () => {
  for (const [name, sampler] of Object.entries(SAMPLERS)) {
    it(`stays inside the space, sets exactly what counts, and answers the same to the same: ${name}`, () => {
      for (let seed = 1; seed <= SPACES; seed++) {
        const random = seededRandom(seed);
        const space = randomSpace(random);
        const first = study(space, sampler, seed);

        for (const { values } of first) assert.ok(space.contains(values), `seed ${seed}: ${JSON.stringify(values)} in ${JSON.stringify(space.parameters)}`);
        assert.deepEqual(study(space, sampler, seed), first, `seed ${seed}`);
      }
    });
  }
});

describe("the grid", () => {
  const space = searchSpace([
    { kind: "categorical", name: "family", choices: ["linear", "mlp"] },
    { kind: "int", name: "layers", low: 1, high: 3, when: [{ parameter: "family", oneOf: ["mlp"] }] },
    { kind: "float", name: "rate", low: 0.01, high: 1, log: true },
  ]);

  it("tries each combination once and then says that nothing is left", () => {
    const sampler = gridSampler({ pointsPerFloat: 3 });
    const suggest = (number: number): Assignment | undefined => sampler({ space, direction: "minimize", trials: [], number, seed: 0 });

    const points = Array.from({ length: 12 }, (_, number) => JSON.stringify(suggest(number)));

    assert.equal(new Set(points).size, 12); // (1 + 3) × 3
    assert.equal(suggest(12), undefined);
    const { rate, ...rest } = suggest(4) ?? {};
    assert.deepEqual(rest, { family: "mlp", layers: 1 });
    assert.ok(Math.abs((rate as number) - 0.1) < 1e-12);
  });

  it("is refused when nobody would see its end", () => {
    const large = searchSpace([
      { kind: "int", name: "a", low: 1, high: 1_000 },
      { kind: "int", name: "b", low: 1, high: 1_000_000_000 },
    ]);

    assert.throws(() => gridSampler()({ space: large, direction: "minimize", trials: [], number: 0, seed: 0 }), { reason: "FIELD_INVALID", message: /more than 100000 points at parameter "b"/ });
  });
});

describe("parallel trials", () => {
  it("keep apart: running ones count as bad", () => {
    const space = searchSpace([{ kind: "float", name: "x", low: -5, high: 5 }]);
    const sampler = tpeSampler();
    const finished: Trial[] = Array.from({ length: 20 }, (_, number) => ({ number, state: "COMPLETE", values: { x: (number - 10) / 2 }, objective: ((number - 10) / 2) ** 2, intermediate: [] }));
    const suggest = (trials: readonly Trial[], number: number): number => sampler({ space, direction: "minimize", trials, number, seed: 1 })?.["x"] as number;
    const crowd: Trial[] = Array.from({ length: 20 }, (_, index) => ({ number: 20 + index, state: "RUNNING", values: { x: 0.001 * index }, intermediate: [] }));

    const nearest = (trials: readonly Trial[]): number[] => Array.from({ length: 20 }, (_, index) => Math.abs(suggest(trials, 100 + index))).sort((a, b) => a - b);

    assert.ok((nearest([...finished, ...crowd])[10] as number) > 2 * (nearest(finished)[10] as number));
  });
});

function study(space: SearchSpace, sampler: Sampler, seed: number): Trial[] {
  const random = seededRandom(seed);
  const trials: Trial[] = [];
  for (let number = 0; number < TRIALS; number++) {
    const values = sampler({ space, direction: "maximize", trials, number, seed });
    if (values === undefined) break;
    const state = random.pick(["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAILED", "RUNNING"] as const);
    trials.push({ number, state, values, intermediate: [{ step: 1, value: random.next() }], ...(state === "COMPLETE" ? { objective: random.next() } : {}) });
  }
  return trials;
}

/** A few parameters of all kinds; each may depend on an earlier categorical one. */
function randomSpace(random: SeededRandom): SearchSpace {
  const parameters: Parameter[] = [];
  const count = 1 + random.below(6);
  for (let index = 0; index < count; index++) {
    const parents = parameters.filter((parameter) => parameter.kind === "categorical");
    const parent = parents.length > 0 && random.chance(2) ? random.pick(parents) : undefined;
    const when = parent === undefined ? {} : { when: [{ parameter: parent.name, oneOf: [random.pick(parent.choices)] }] };
    const name = `p${index}`;
    const low = random.below(20) + 1;
    parameters.push(
      random.pick<() => Parameter>([
        () => ({ kind: "float", name, low: low - 10, high: low + random.below(3), ...when }),
        () => ({ kind: "float", name, low: low / 1e6, high: low, log: true, ...when }),
        () => ({ kind: "float", name, low, high: low + random.next() * 3, step: 0.1 + random.next(), ...when }),
        () => ({ kind: "int", name, low: -low, high: random.below(5), ...when }),
        () => ({ kind: "int", name, low, high: low + random.below(5), step: 1 + random.below(3), ...when }),
        () => ({ kind: "int", name, low, high: low * 100, log: true, ...when }),
        () => ({ kind: "categorical", name, choices: ["a", 2, true, [64, 32]].slice(0, 1 + random.below(4)), ...when }),
      ])(),
    );
  }
  return searchSpace(random.shuffled(parameters));
}
