import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, adam, adamW, sgd, type Optimizer } from "./index.ts";

const CASES: Readonly<Record<string, Optimizer>> = {
  "sgd": sgd({ learningRate: 0.1 }),
  "sgd with momentum and L2": sgd({ learningRate: 0.1, momentum: 0.9, l2: 0.01 }),
  "sgd with Nesterov's momentum": sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true, l1: 0.003 }),
  "adam": adam({ learningRate: 0.01 }),
  "adam with L2": adam({ learningRate: 0.01, l2: 0.1 }),
  "adamW": adamW({ learningRate: 0.01 }),
};

/** Deterministic numbers that look like gradients. */
const number = (seed: number): number => Math.fround(Math.sin(seed * 12.9898) * Math.exp(Math.cos(seed * 78.233) * 3));

describe("the kernels", () => {
  for (const [name, optimizer] of Object.entries(CASES)) {
    it(`step as the plain form does, bit for bit: ${name}`, () => {
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
  }
});
