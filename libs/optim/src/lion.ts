import { flushed, type Lanes } from "./kernel/lanes.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";

/** Settings of {@link lion}. */
export interface LionOptions extends PenaltyOptions {
  /** A third to a tenth of what AdamW takes. @default 0.0001 */
  readonly learningRate?: number;
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.99 */
  readonly beta2?: number;
  /** Decoupled; three to ten times what AdamW takes. @default 0 */
  readonly weightDecay?: number;
}

const f = Math.fround;

/**
 * Lion: p = p·(1 - lr·λ) - lr·sign(β₁·m + (1-β₁)·g); m = β₂·m + (1-β₂)·g. Half the state of Adam.
 *
 * Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023), algorithm 2; operations in the order of google/automl's lion_pytorch.py.
 *
 * @throws RangeError for settings out of range
 */
export function lion({ learningRate = 1e-4, beta1 = 0.9, beta2 = 0.99, weightDecay = 0, l1 = 0, l2 = 0 }: LionOptions = {}): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, beta1, beta2, weightDecay, l1, l2 };
  checkSettings("lion", settings);
  const keepOf = ({ decay, learningRate: rate }: StepContext): number => (decay ? 1 - rate * weightDecay : 1);
  return {
    name: "lion",
    learningRate,
    settings,
    slots: ["m"],
    perTensor: false,
    idle: weightDecay === 0 ? "unchanged without state" : "changed",
    kernel: {
      arrays: ["parameter", "gradient", "m"],
      scalars: [...PENALTY_SCALARS, "beta1", "blend1", "beta2", "blend2", "keep", "learningRate"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        const m = lanes.load("m");
        const mix = (old: string, fresh: string) => lanes.add(lanes.mul(m, lanes.scalar(old)), lanes.mul(gradient, lanes.scalar(fresh)));
        const direction = lanes.sign(mix("beta1", "blend1"));
        lanes.store("parameter", lanes.sub(lanes.mul(parameter, lanes.scalar("keep")), lanes.mul(direction, lanes.scalar("learningRate"))));
        lanes.store("m", lanes.flush(mix("beta2", "blend2")));
      },
    },
    scalars: (context) => [...penaltyScalars(penalties, context), beta1, 1 - beta1, beta2, 1 - beta2, keepOf(context), context.learningRate],
    reference: (parameter, gradients, [momenta], context) => {
      const m = momenta as Float32Array;
      const [b1, blend1, b2, blend2, keep, rate] = [beta1, 1 - beta1, beta2, 1 - beta2, keepOf(context), context.learningRate].map(f) as [number, number, number, number, number, number];
      for (let i = 0; i < parameter.length; i++) {
        const p = parameter[i] as number;
        const old = m[i] as number;
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        parameter[i] = f(f(p * keep) - f(Math.sign(f(f(old * b1) + f(g * blend1))) * rate));
        m[i] = flushed(f(f(old * b2) + f(g * blend2)));
      }
    },
  };
}
