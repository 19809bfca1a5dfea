import { flushed, type Lanes } from "./kernel/lanes.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";

/** Settings that Adam and AdamW share. */
export interface AdamOptions extends PenaltyOptions {
  /** @default 0.001 */
  readonly learningRate?: number;
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
}

/** Settings of {@link adamW}. */
export interface AdamWOptions extends AdamOptions {
  /** Decoupled: p is multiplied by 1 - learning rate·weightDecay. @default 0.01 */
  readonly weightDecay?: number;
}

const f = Math.fround;

/**
 * Adam with bias correction: m += (g-m)·(1-β₁); v = β₂·v + (1-β₂)·g²; p -= lr/(1-β₁ᵗ)·m / (√v/√(1-β₂ᵗ) + ε).
 *
 * Source: Kingma & Ba, Adam (2015), algorithm 1; operations in the order of torch.optim.Adam.
 *
 * @throws RangeError for settings out of range
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamLike("adam", { ...options, weightDecay: 0 });
}

/**
 * Adam with decoupled weight decay.
 *
 * Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
 *
 * @throws RangeError for settings out of range
 */
export function adamW(options: AdamWOptions = {}): Optimizer {
  return adamLike("adamw", { ...options, weightDecay: options.weightDecay ?? 0.01 });
}

function adamLike(name: string, { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, l1 = 0, l2 = 0, weightDecay = 0 }: AdamWOptions): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, beta1, beta2, epsilon, l1, l2, weightDecay };
  checkSettings(name, settings);
  const scalars = (context: StepContext): number[] => [
    ...penaltyScalars(penalties, context),
    1 - beta1,
    beta2,
    1 - beta2,
    1 / Math.sqrt(1 - beta2 ** context.step),
    epsilon,
    context.learningRate / (1 - beta1 ** context.step),
    context.decay ? 1 - context.learningRate * weightDecay : 1,
  ];
  return {
    name,
    learningRate,
    settings,
    slots: ["m", "v"],
    perTensor: false,
    idle: weightDecay === 0 ? "unchanged without state" : "changed",
    kernel: {
      arrays: ["parameter", "gradient", "m", "v"],
      scalars: [...PENALTY_SCALARS, "blend1", "beta2", "blend2", "correction2", "epsilon", "rate", "keep"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        const before = lanes.load("m");
        const m = lanes.flush(lanes.add(before, lanes.mul(lanes.sub(gradient, before), lanes.scalar("blend1"))));
        const v = lanes.keep(lanes.add(lanes.mul(lanes.load("v"), lanes.scalar("beta2")), lanes.mul(lanes.mul(gradient, gradient), lanes.scalar("blend2"))));
        lanes.store("m", m);
        lanes.store("v", v);
        const kept = weightDecay === 0 ? parameter : lanes.mul(parameter, lanes.scalar("keep"));
        const denominator = lanes.add(lanes.mul(lanes.sqrt(v), lanes.scalar("correction2")), lanes.scalar("epsilon"));
        lanes.store("parameter", lanes.sub(kept, lanes.div(lanes.mul(m, lanes.scalar("rate")), denominator)));
      },
    },
    scalars,
    reference: (parameter, gradients, slots, context) => {
      const [m, v] = slots as readonly [Float32Array, Float32Array];
      const [blend1, b2, blend2, correction2, eps, rate, keep] = scalars(context).slice(PENALTY_SCALARS.length).map(f) as [number, number, number, number, number, number, number];
      for (let i = 0; i < parameter.length; i++) {
        const p = parameter[i] as number;
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        const first = flushed(f((m[i] as number) + f(f(g - (m[i] as number)) * blend1)));
        const second = f(f((v[i] as number) * b2) + f(f(g * g) * blend2));
        m[i] = first;
        v[i] = second;
        const kept = weightDecay === 0 ? p : f(p * keep);
        parameter[i] = f(kept - f(f(first * rate) / f(f(f(Math.sqrt(second)) * correction2) + eps)));
      }
    },
  };
}
