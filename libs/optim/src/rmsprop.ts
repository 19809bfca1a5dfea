import { flushed, type Lanes } from "./kernel/lanes.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions } from "./optimizer.ts";

/** Settings of {@link rmsprop}. */
export interface RmspropOptions extends PenaltyOptions {
  /** @default 0.01 */
  readonly learningRate?: number;
  /** ρ of the mean of squares. @default 0.99 */
  readonly smoothing?: number;
  /** @default 0 */
  readonly momentum?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
}

const f = Math.fround;

/**
 * RMSprop: v = ρ·v + (1-ρ)·g²; b = μ·b + g/(√v + ε); p -= lr·b.
 *
 * Source: Tieleman & Hinton, lecture 6.5 (2012); torch.optim.RMSprop, not centred.
 *
 * @throws RangeError for settings out of range
 */
export function rmsprop({ learningRate = 0.01, smoothing = 0.99, momentum = 0, epsilon = 1e-8, l1 = 0, l2 = 0 }: RmspropOptions = {}): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, smoothing, momentum, epsilon, l1, l2 };
  checkSettings("rmsprop", settings);
  const slots = momentum === 0 ? ["v"] : ["v", "velocity"];
  return {
    name: "rmsprop",
    learningRate,
    settings,
    slots,
    perTensor: false,
    idle: "unchanged without state",
    kernel: {
      arrays: ["parameter", "gradient", ...slots],
      scalars: [...PENALTY_SCALARS, "smoothing", "blend", "epsilon", "learningRate", "momentum"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        const v = lanes.keep(lanes.add(lanes.mul(lanes.load("v"), lanes.scalar("smoothing")), lanes.mul(lanes.mul(gradient, gradient), lanes.scalar("blend"))));
        lanes.store("v", v);
        let direction = lanes.div(gradient, lanes.add(lanes.sqrt(v), lanes.scalar("epsilon")));
        if (momentum !== 0) {
          direction = lanes.flush(lanes.add(lanes.mul(lanes.scalar("momentum"), lanes.load("velocity")), direction));
          lanes.store("velocity", direction);
        }
        lanes.store("parameter", lanes.sub(parameter, lanes.mul(lanes.scalar("learningRate"), direction)));
      },
    },
    scalars: (context) => [...penaltyScalars(penalties, context), smoothing, 1 - smoothing, epsilon, context.learningRate, momentum],
    reference: (parameter, gradients, [v, velocity], context) => {
      const squares = v as Float32Array;
      const [rho, blend, eps, rate, mu] = [f(smoothing), f(1 - smoothing), f(epsilon), f(context.learningRate), f(momentum)];
      for (let i = 0; i < parameter.length; i++) {
        const p = parameter[i] as number;
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        const square = f(f((squares[i] as number) * rho) + f(f(g * g) * blend));
        squares[i] = square;
        let direction = f(g / f(f(Math.sqrt(square)) + eps));
        if (velocity !== undefined) velocity[i] = direction = flushed(f(f(mu * (velocity[i] as number)) + direction));
        parameter[i] = f(p - f(rate * direction));
      }
    },
  };
}
