import type { Optimizer } from "./optimizer.ts";

/** An optimiser over arrays of the caller's. */
export interface ReferenceOptimizer {
  /** One step: `gradients` and `parameters` are as long as each other; state is kept inside. */
  step(parameters: Float32Array, gradients: Float32Array, learningRate?: number): void;
}

/** The plain TypeScript form of an optimiser, several times slower than an arena: what kernels are tested against. */
export function referenceOptimizer(optimizer: Optimizer, size: number): ReferenceOptimizer {
  const slots = optimizer.slots.map(() => new Float32Array(size));
  let step = 0;
  return {
    step(parameters, gradients, learningRate = optimizer.learningRate) {
      optimizer.reference(parameters, gradients, slots, { step: ++step, learningRate, gradientScale: 1, decay: true });
    },
  };
}
