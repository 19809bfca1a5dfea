// Learning rates as pure functions of the step: nothing to save, and step k has the same rate however often a job was resumed.

/** Factor of the learning rate for a step, 0 = the first. */
export type Schedule = (step: number) => number;

/** The same rate throughout. */
export function constantSchedule(): Schedule {
  return () => 1;
}

/** Multiplied by `factor` after every `every` steps. Source: torch.optim.lr_scheduler.StepLR. */
export function stepSchedule({ every, factor = 0.1 }: { readonly every: number; /** @default 0.1 */ readonly factor?: number }): Schedule {
  positive("stepSchedule", { every });
  return (step) => factor ** Math.floor(step / every);
}

/**
 * Half a cosine from 1 down to `floor` at step `steps`, then `floor`.
 *
 * Source: Loshchilov & Hutter, SGDR (2017), equation 5; torch.optim.lr_scheduler.CosineAnnealingLR.
 */
export function cosineSchedule({ steps, floor = 0 }: { readonly steps: number; /** @default 0 */ readonly floor?: number }): Schedule {
  positive("cosineSchedule", { steps });
  return (step) => floor + ((1 - floor) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps))) / 2;
}

/** A line from 1 down to `floor` at step `steps`, then `floor`. */
export function linearSchedule({ steps, floor = 0 }: { readonly steps: number; /** @default 0 */ readonly floor?: number }): Schedule {
  positive("linearSchedule", { steps });
  return (step) => 1 + ((floor - 1) * Math.min(step, steps)) / steps;
}

/** A line from `start` up to 1 at step `steps`, then another schedule that begins there. Source: torch's LinearLR and SequentialLR. */
export function warmUp({ steps, start = 0, then = constantSchedule() }: { readonly steps: number; /** @default 0 */ readonly start?: number; /** @default constant */ readonly then?: Schedule }): Schedule {
  if (!(steps >= 0)) throw new RangeError(`warmUp: steps is ${steps}; it must be from 0 on`);
  return (step) => (step < steps ? start + ((1 - start) * step) / steps : then(step - steps));
}

/** Settings of {@link oneCycleSchedule}. */
export interface OneCycleOptions {
  /** Steps of the whole cycle. */
  readonly steps: number;
  /** Part of the steps in which the rate rises. @default 0.3 */
  readonly warmUpFraction?: number;
  /** The first rate is the optimiser's divided by this. @default 25 */
  readonly startDivisor?: number;
  /** The last rate is the first divided by this. @default 10000 */
  readonly endDivisor?: number;
}

/**
 * Up to the optimiser's rate and down to almost nothing, both along half a cosine; momentum stays as it is.
 *
 * Source: Smith & Topin, Super-Convergence (2018); torch.optim.lr_scheduler.OneCycleLR.
 */
export function oneCycleSchedule({ steps, warmUpFraction = 0.3, startDivisor = 25, endDivisor = 1e4 }: OneCycleOptions): Schedule {
  positive("oneCycleSchedule", { steps, startDivisor, endDivisor });
  const [peak, last] = [warmUpFraction * steps - 1, steps - 1];
  const [first, end] = [1 / startDivisor, 1 / startDivisor / endDivisor];
  const cosine = (from: number, to: number, part: number): number => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
  return (step) => {
    const at = Math.min(step, last);
    return at <= peak ? cosine(first, 1, peak <= 0 ? 1 : at / peak) : cosine(1, end, last === peak ? 1 : (at - peak) / (last - peak));
  };
}

function positive(name: string, settings: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(settings)) if (!(value > 0)) throw new RangeError(`${name}: ${key} is ${value}; it must be above 0`);
}
