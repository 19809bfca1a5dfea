import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Arena, adagrad, adam, adamW, lamb, lion, referenceOptimizer, rmsprop, sgd, type Optimizer } from "../src/index.ts";

const { start, gradients, paths } = JSON.parse(readFileSync(new URL("golden/optimizers.json", import.meta.url), "utf8")) as { start: number[]; gradients: number[][]; paths: Record<string, number[][]> };

/** Every optimiser in its forms; those with a golden by the golden's name. */
const OPTIMIZERS: Readonly<Record<string, Optimizer>> = {
  "sgd": sgd({ learningRate: 0.1 }),
  "sgd momentum l2": sgd({ learningRate: 0.1, momentum: 0.9, l2: 0.01 }),
  "sgd nesterov": sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }),
  "sgd l1": sgd({ learningRate: 0.1, l1: 0.01 }),
  "adam": adam({ learningRate: 0.01 }),
  "adam l2": adam({ learningRate: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-6, l2: 0.1 }),
  "adamw": adamW({ learningRate: 0.01, weightDecay: 0.1 }),
  "rmsprop": rmsprop({ learningRate: 0.01 }),
  "rmsprop momentum l2": rmsprop({ learningRate: 0.01, smoothing: 0.9, momentum: 0.9, l2: 0.1 }),
  "adagrad": adagrad({ learningRate: 0.1 }),
  "adagrad decay l2": adagrad({ learningRate: 0.1, rateDecay: 0.1, l2: 0.1 }),
  "lion": lion({ learningRate: 0.01, weightDecay: 0.1 }),
  "lion without decay": lion({ learningRate: 0.01 }),
  "lamb": lamb({ learningRate: 0.01 }),
};

/** Deterministic numbers of very different sizes. */
const number = (seed: number): number => Math.fround(Math.sin(seed * 12.9898) * Math.exp(Math.cos(seed * 78.233) * 3));

function closeTo(got: ArrayLike<number>, want: readonly number[], tolerance: number): void {
  want.forEach((value, index) => assert.ok(Math.abs((got[index] as number) - value) <= tolerance * Math.max(1, Math.abs(value)), `${String(got[index])} is not ${value} at ${index}`));
}

// The suite that every optimiser must pass.
for (const [name, optimizer] of Object.entries(OPTIMIZERS)) {
  describe(name, () => {
    const golden = paths[name];
    if (golden !== undefined) {
      it("follows the second implementation for eight steps", () => {
        const arena = new Arena({ tensors: [{ name: "p", size: start.length }], optimizer });
        arena.parameter("p").set(start);

        golden.forEach((want, index) => {
          arena.gradient("p").set(gradients[index] as number[]);
          arena.update({ step: index + 1, learningRate: optimizer.learningRate });
          closeTo(arena.parameter("p"), want, 2e-6); // f32 state, other order of operations
        });
      });
    }

    it("steps as its plain form does, bit for bit", () => {
      const sizes = { a: 37, b: 5 };
      const arena = new Arena({ tensors: [{ name: "a", size: sizes.a }, { name: "b", size: sizes.b, decay: false }], optimizer });
      const plain = Object.entries(sizes).map(([tensor, size]) => ({ tensor, parameter: Float32Array.from({ length: size }, (_, i) => number(i + size)), slots: optimizer.slots.map(() => new Float32Array(size)) }));
      for (const { tensor, parameter } of plain) arena.parameter(tensor).set(parameter);

      for (let step = 1; step <= 8; step++) {
        for (const { tensor, parameter, slots } of plain) {
          const gradient = Float32Array.from(parameter, (_, i) => number(i * 3 + step));
          arena.gradient(tensor).set(gradient);
          optimizer.reference(parameter, gradient, slots, { step, learningRate: optimizer.learningRate, gradientScale: 0.5, decay: tensor === "a" });
        }
        arena.update({ step, learningRate: optimizer.learningRate, gradientScale: 0.5 });
      }

      for (const { tensor, parameter, slots } of plain) {
        assert.deepEqual(arena.parameter(tensor), parameter);
        optimizer.slots.forEach((slot, index) => assert.deepEqual(arena.slot(slot, tensor), slots[index]));
      }
    });

    it("lets momentum that fades away become 0, as its plain form does", () => {
      const arena = new Arena({ tensors: [{ name: "p", size: 16 }], optimizer });
      const [parameter, gradient, slots] = [Float32Array.from({ length: 16 }, (_, i) => number(i)), new Float32Array(16), optimizer.slots.map((slot) => new Float32Array(16).fill(slot === "v" || slot === "sum" ? 1e-6 : 2e-38))];
      arena.parameter("p").set(parameter);
      optimizer.slots.forEach((slot, index) => arena.slot(slot, "p").set(slots[index] ?? []));

      for (let step = 1_000; step < 1_100; step++) {
        arena.gradient("p").fill(0);
        arena.update({ step, learningRate: optimizer.learningRate });
        optimizer.reference(parameter, gradient, slots, { step, learningRate: optimizer.learningRate, gradientScale: 1, decay: true });
      }

      assert.deepEqual(arena.parameter("p"), parameter);
      optimizer.slots.forEach((slot, index) => {
        assert.deepEqual(arena.slot(slot, "p"), slots[index]);
        assert.ok(slots[index]?.every((value) => value === 0 || Math.abs(value) >= 2 ** -126));
      });
    });

    for (const width of [8, 6]) {
      it(`moves a table of ${width} columns by rows as by the whole gradient, bit for bit`, () => {
        const rows = 20;
        const tables = [0, 1].map(() => new Arena({ tensors: [{ name: "before", size: 3 }, { name: "table", size: rows * width }, { name: "after", size: 30 }], optimizer })) as [Arena, Arena];
        for (const arena of tables) for (const tensor of ["before", "table", "after"]) arena.parameter(tensor).forEach((_, index, all) => (all[index] = number(index + tensor.length)));
        const [byRows, whole] = tables;

        for (let step = 1; step <= 5; step++) {
          for (const arena of tables) for (const tensor of ["before", "after"]) arena.gradient(tensor).forEach((_, index, all) => (all[index] = number(index + step)));
          const picked = Int32Array.of(3, (7 * step) % 11, 3, 19);
          const values = Float32Array.from({ length: picked.length * width }, (_, index) => number(index * step));
          byRows.clearRows();
          byRows.addRows("table", picked, values);
          const gradient = whole.gradient("table").fill(0);
          picked.forEach((row, at) => gradient.subarray(row * width, (row + 1) * width).forEach((old, column, target) => (target[column] = old + (values[at * width + column] as number))));
          assert.ok(Math.abs(byRows.gradientNorm() / whole.gradientNorm() - 1) < 1e-12); // f64 sums in another order
          for (const arena of tables) arena.update({ step, learningRate: optimizer.learningRate, gradientScale: 0.7 });
          if (step === 3) byRows.restored(); // as after a checkpoint: which rows have state is found again
        }

        for (const tensor of ["before", "table", "after"]) {
          assert.deepEqual(byRows.parameter(tensor), whole.parameter(tensor));
          for (const slot of optimizer.slots) assert.deepEqual(byRows.slot(slot, tensor), whole.slot(slot, tensor));
        }
      });
    }

    it("goes towards a minimum", () => {
      const parameters = Float32Array.of(1, -2, 0.5);
      const target = [0, 1, 0.5];
      const lossOf = (): number => parameters.reduce((sum, value, index) => sum + (value - (target[index] as number)) ** 2, 0);
      const before = lossOf();
      const stepper = referenceOptimizer(optimizer, 3);

      for (let step = 0; step < 300; step++) stepper.step(parameters, parameters.map((value, index) => 2 * (value - (target[index] as number))));

      assert.ok(lossOf() < 0.75 * before, `${before} → ${lossOf()}`);
    });

    it("has settings that JSON keeps", () => {
      assert.deepEqual(JSON.parse(JSON.stringify(optimizer.settings)), optimizer.settings);
      assert.equal(optimizer.settings["learningRate"], optimizer.learningRate);
    });
  });
}

describe("settings of optimisers", () => {
  const REFUSED: Readonly<Record<string, readonly [() => Optimizer, RegExp]>> = {
    "a negative learning rate": [() => adam({ learningRate: -1 }), /adam: learningRate is -1; it must be a finite number from 0 on/],
    "a learning rate that is not a number": [() => sgd({ learningRate: NaN }), /sgd: learningRate is NaN/],
    "a beta of 1": [() => lion({ beta1: 1 }), /lion: beta1 is 1; it must be below 1/],
    "momentum above 1": [() => rmsprop({ momentum: 1.5 }), /rmsprop: momentum is 1.5/],
    "nesterov without momentum": [() => sgd({ nesterov: true }), /nesterov needs a momentum/],
  };
  for (const [name, [make, message]] of Object.entries(REFUSED)) it(`refuse ${name}`, () => assert.throws(make, message));
});
