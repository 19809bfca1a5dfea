import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { adam } from "@servable/optim";
import { Scope } from "@servable/nn";
import { parameterFormula } from "@servable/testing";
import { createTrainer } from "../src/index.ts";
import { TINY } from "./support/parity-cases.ts";

const goldens = JSON.parse(readFileSync(new URL("goldens/parity.json", import.meta.url), "utf8")) as Record<string, { losses: number[] }>;
/** What the service promises over 100 steps of the full models; see the bench. */
const APART_MAX = 1e-4;

describe("twenty steps of Adam from the same weights over the same batches", () => {
  for (const [name, { network, feeds }] of Object.entries(TINY)) {
    it(`of ${name} have PyTorch's losses`, async () => {
      const scope = new Scope({ mode: "eval" });
      network(scope);
      const initial = new Map([...scope.parameters].map((parameter) => [parameter.name, parameterFormula(parameter.name, parameter.shape)] as const));
      for (const { name: buffer, shape } of scope.buffers) initial.set(buffer, parameterFormula(buffer, shape));
      await using trainer = await createTrainer({ network, optimizer: adam({ learningRate: 1e-3 }), initial });

      const losses: number[] = [];
      for (let step = 0; step < (goldens[name]?.losses.length ?? 0); step++) losses.push((await trainer.step(feeds(step))).loss);

      goldens[name]?.losses.forEach((want, step) => assert.ok(Math.abs((losses[step] ?? NaN) - want) < APART_MAX, `step ${step + 1}: ${losses[step]}, PyTorch has ${want}`));
      assert.equal(losses.length, 20);
    });
  }
});
