import type { Optimizer } from "./optimizer.ts";

/** Settings of Adam. */
export interface AdamOptions {
  /** Numbers of all parameters together. */
  readonly size: number;
  /** @default 0.001 */
  readonly learningRate?: number;
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
  /** Decoupled weight decay (AdamW, Loshchilov & Hutter 2019). @default 0 */
  readonly weightDecay?: number;
}

/**
 * Adam with bias correction, in place over one flat array.
 *
 * Source: Kingma & Ba, Adam (2015), algorithm 1; state and arithmetic in f32 as PyTorch has them.
 */
export function createAdam({ size, learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions): Optimizer {
  const m = new Float32Array(size);
  const v = new Float32Array(size);
  let step = 0;
  return {
    step(parameters, gradients) {
      step++;
      const rate = learningRate / (1 - beta1 ** step);
      const correction = 1 / Math.sqrt(1 - beta2 ** step);
      const keep = 1 - learningRate * weightDecay;
      for (let index = 0; index < size; index++) {
        const gradient = gradients[index] as number;
        const first = beta1 * (m[index] as number) + (1 - beta1) * gradient;
        const second = beta2 * (v[index] as number) + (1 - beta2) * gradient * gradient;
        m[index] = first;
        v[index] = second;
        parameters[index] = (parameters[index] as number) * keep - (rate * first) / (Math.sqrt(second) * correction + epsilon);
      }
    },
  };
}
