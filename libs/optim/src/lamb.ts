import { flushed, type Lanes } from "./kernel/lanes.ts";
import type { WasmExports } from "./kernel/machine.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";

/** Settings of {@link lamb}. */
export interface LambOptions extends PenaltyOptions {
  /** @default 0.001 */
  readonly learningRate?: number;
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-6 */
  readonly epsilon?: number;
  /** Part of the update, so that the trust ratio sees it. @default 0.01 */
  readonly weightDecay?: number;
}

const f = Math.fround;

/**
 * LAMB, for large batches: Adam's direction u = m̂/(√v̂ + ε) + λ·p, scaled for each tensor by ‖p‖/‖u‖ (1 where either is 0).
 *
 * The first pass leaves u in place of the gradient, the second moves by it once its length is known.
 *
 * Source: You et al., Large Batch Optimization for Deep Learning (2020), algorithm 2, φ(z) = z.
 *
 * @throws RangeError for settings out of range
 */
export function lamb({ learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, weightDecay = 0.01, l1 = 0, l2 = 0 }: LambOptions = {}): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, beta1, beta2, epsilon, weightDecay, l1, l2 };
  checkSettings("lamb", settings);
  const scalars = (context: StepContext): number[] => [
    ...penaltyScalars(penalties, context),
    1 - beta1,
    beta2,
    1 - beta2,
    1 / (1 - beta1 ** context.step),
    1 / Math.sqrt(1 - beta2 ** context.step),
    epsilon,
    context.decay ? weightDecay : 0,
  ];
  return {
    name: "lamb",
    learningRate,
    settings,
    slots: ["m", "v"],
    perTensor: true,
    idle: "changed",
    kernel: {
      arrays: ["parameter", "gradient", "m", "v"],
      scalars: [...PENALTY_SCALARS, "blend1", "beta2", "blend2", "correction1", "correction2", "epsilon", "weightDecay"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        const before = lanes.load("m");
        const m = lanes.flush(lanes.add(before, lanes.mul(lanes.sub(gradient, before), lanes.scalar("blend1"))));
        const v = lanes.keep(lanes.add(lanes.mul(lanes.load("v"), lanes.scalar("beta2")), lanes.mul(lanes.mul(gradient, gradient), lanes.scalar("blend2"))));
        lanes.store("m", m);
        lanes.store("v", v);
        const direction = lanes.div(lanes.mul(m, lanes.scalar("correction1")), lanes.add(lanes.mul(lanes.sqrt(v), lanes.scalar("correction2")), lanes.scalar("epsilon")));
        lanes.store("gradient", lanes.add(direction, lanes.mul(lanes.scalar("weightDecay"), parameter)));
      },
    },
    scalars,
    finish: (kernels: WasmExports, { parameter, gradient, count }, { learningRate: rate }) => {
      const { sumOfSquares, subtract } = kernels as { sumOfSquares: (pointer: number, count: number) => number; subtract: (parameter: number, direction: number, count: number, rate: number) => number };
      subtract(parameter, gradient, count, rate * trustOf(sumOfSquares(parameter, count), sumOfSquares(gradient, count)));
    },
    reference: (parameter, gradients, slots, context) => {
      const [m, v] = slots as readonly [Float32Array, Float32Array];
      const [blend1, b2, blend2, correction1, correction2, eps, decay] = scalars(context).slice(PENALTY_SCALARS.length).map(f) as [number, number, number, number, number, number, number];
      const directions = parameter.map((p, i) => {
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        const first = flushed(f((m[i] as number) + f(f(g - (m[i] as number)) * blend1)));
        const second = f(f((v[i] as number) * b2) + f(f(g * g) * blend2));
        m[i] = first;
        v[i] = second;
        return f(f(f(first * correction1) / f(f(f(Math.sqrt(second)) * correction2) + eps)) + f(decay * p));
      });
      const rate = f(context.learningRate * trustOf(squares(parameter), squares(directions)));
      for (let i = 0; i < parameter.length; i++) parameter[i] = f((parameter[i] as number) - f((directions[i] as number) * rate));
    },
  };
}

function trustOf(parameterSquares: number, directionSquares: number): number {
  return parameterSquares > 0 && directionSquares > 0 ? Math.sqrt(parameterSquares) / Math.sqrt(directionSquares) : 1;
}

/** Σ x² in the order of the kernel: two sums of even and odd elements of pairs, low and high halves of four apart. */
function squares(values: Float32Array): number {
  const sums: [number, number, number, number] = [0, 0, 0, 0];
  values.forEach((value, index) => (sums[(index % 4) as 0 | 1 | 2 | 3] += value * value));
  return sums[0] + sums[2] + (sums[1] + sums[3]);
}
