import type { Lanes } from "./kernel/lanes.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";

/** Settings of {@link adagrad}. */
export interface AdagradOptions extends PenaltyOptions {
  /** @default 0.01 */
  readonly learningRate?: number;
  /** The rate of step t is divided by 1 + (t-1)·rateDecay. @default 0 */
  readonly rateDecay?: number;
  /** @default 1e-10 */
  readonly epsilon?: number;
}

const f = Math.fround;

/**
 * Adagrad: s += g²; p -= lr·g/(√s + ε).
 *
 * Source: Duchi, Hazan & Singer, Adaptive Subgradient Methods (2011); torch.optim.Adagrad.
 *
 * @throws RangeError for settings out of range
 */
export function adagrad({ learningRate = 0.01, rateDecay = 0, epsilon = 1e-10, l1 = 0, l2 = 0 }: AdagradOptions = {}): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, rateDecay, epsilon, l1, l2 };
  checkSettings("adagrad", settings);
  const rateOf = ({ step, learningRate: rate }: StepContext): number => rate / (1 + (step - 1) * rateDecay);
  return {
    name: "adagrad",
    learningRate,
    settings,
    slots: ["sum"],
    perTensor: false,
    idle: "unchanged",
    kernel: {
      arrays: ["parameter", "gradient", "sum"],
      scalars: [...PENALTY_SCALARS, "epsilon", "rate"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        const sum = lanes.keep(lanes.add(lanes.load("sum"), lanes.mul(gradient, gradient)));
        lanes.store("sum", sum);
        lanes.store("parameter", lanes.sub(parameter, lanes.div(lanes.mul(gradient, lanes.scalar("rate")), lanes.add(lanes.sqrt(sum), lanes.scalar("epsilon")))));
      },
    },
    scalars: (context) => [...penaltyScalars(penalties, context), epsilon, rateOf(context)],
    reference: (parameter, gradients, [sums], context) => {
      const sum = sums as Float32Array;
      const [eps, rate] = [f(epsilon), f(rateOf(context))];
      for (let i = 0; i < parameter.length; i++) {
        const p = parameter[i] as number;
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        const square = f((sum[i] as number) + f(g * g));
        sum[i] = square;
        parameter[i] = f(p - f(f(g * rate) / f(f(Math.sqrt(square)) + eps)));
      }
    },
  };
}
