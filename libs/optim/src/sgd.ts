import { flushed, type Lanes } from "./kernel/lanes.ts";
import { PENALTY_SCALARS, checkSettings, penalizedGradient, penalizedNumber, penaltyScalars, type Optimizer, type PenaltyOptions } from "./optimizer.ts";

/** Settings of stochastic gradient descent. */
export interface SgdOptions extends PenaltyOptions {
  /** @default 0.01 */
  readonly learningRate?: number;
  /** @default 0 */
  readonly momentum?: number;
  /** Looks ahead by one step of momentum. @default false */
  readonly nesterov?: boolean;
}

const f = Math.fround;

/**
 * Stochastic gradient descent: v = μ·v + g; p -= lr·v, or with Nesterov's momentum p -= lr·(g + μ·v).
 *
 * Source: torch.optim.SGD without dampening; Sutskever et al., On the importance of initialization and momentum (2013).
 *
 * @throws RangeError for settings out of range
 */
export function sgd({ learningRate = 0.01, momentum = 0, nesterov = false, l1 = 0, l2 = 0 }: SgdOptions = {}): Optimizer {
  const penalties = { l1, l2 };
  const settings = { learningRate, momentum, nesterov, l1, l2 };
  checkSettings("sgd", settings);
  if (nesterov && momentum === 0) throw new RangeError("sgd: nesterov needs a momentum above 0");
  const slots = momentum === 0 ? [] : ["velocity"];
  return {
    name: "sgd",
    learningRate,
    settings,
    slots,
    perTensor: false,
    idle: momentum === 0 ? "unchanged" : "unchanged without state",
    kernel: {
      arrays: ["parameter", "gradient", ...slots],
      scalars: [...PENALTY_SCALARS, "learningRate", "momentum"],
      body: (lanes: Lanes) => {
        const parameter = lanes.load("parameter");
        const gradient = penalizedGradient(lanes, parameter, penalties);
        let direction = gradient;
        if (momentum !== 0) {
          const velocity = lanes.flush(lanes.add(lanes.mul(lanes.scalar("momentum"), lanes.load("velocity")), gradient));
          lanes.store("velocity", velocity);
          direction = nesterov ? lanes.add(gradient, lanes.mul(lanes.scalar("momentum"), velocity)) : velocity;
        }
        lanes.store("parameter", lanes.sub(parameter, lanes.mul(lanes.scalar("learningRate"), direction)));
      },
    },
    scalars: (context) => [...penaltyScalars(penalties, context), context.learningRate, momentum],
    reference: (parameter, gradients, [velocity], context) => {
      const [rate, mu] = [f(context.learningRate), f(momentum)];
      for (let i = 0; i < parameter.length; i++) {
        const p = parameter[i] as number;
        const g = penalizedNumber(gradients[i] as number, p, penalties, context);
        let direction = g;
        if (velocity !== undefined) {
          velocity[i] = flushed(f(f(mu * (velocity[i] as number)) + g));
          direction = nesterov ? f(g + f(mu * (velocity[i] as number))) : (velocity[i] as number);
        }
        parameter[i] = f(p - f(rate * direction));
      }
    },
  };
}
