import type { Optimizer } from "./optimizer.ts";

/** Settings of stochastic gradient descent. */
export interface SgdOptions {
  /** Numbers of all parameters together. */
  readonly size: number;
  /** @default 0.01 */
  readonly learningRate?: number;
  /** @default 0 */
  readonly momentum?: number;
  /** L2 penalty, added to the gradient. @default 0 */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent with momentum: v = μ·v + (g + λ·p); p = p - lr·v, as PyTorch has it. */
export function createSgd({ size, learningRate = 0.01, momentum = 0, weightDecay = 0 }: SgdOptions): Optimizer {
  const velocity = new Float32Array(momentum === 0 ? 0 : size);
  return {
    step(parameters, gradients) {
      for (let index = 0; index < size; index++) {
        let gradient = (gradients[index] as number) + weightDecay * (parameters[index] as number);
        if (momentum !== 0) gradient = velocity[index] = momentum * (velocity[index] as number) + gradient;
        parameters[index] = (parameters[index] as number) - learningRate * gradient;
      }
    },
  };
}
