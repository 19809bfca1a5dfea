// Both of these look at a metric and wait: one lowers the learning rate when patience ends, the other ends the training. They
// are pure state machines, so that a checkpoint holds their state as plain JSON.

/** How a metric is watched. */
export interface WatchOptions {
  /** Whether smaller or larger values are better. @default "min" */
  readonly mode?: "min" | "max";
  /** Smallest improvement that counts. @default 0 */
  readonly threshold?: number;
  /** Whether the threshold is a part of the best value or an amount. @default "absolute" */
  readonly thresholdMode?: "relative" | "absolute";
}

/** Settings of {@link plateau}. */
export interface PlateauOptions extends WatchOptions {
  /** The rate is multiplied by it. @default 0.1 */
  readonly factor?: number;
  /** Observations without improvement that are borne. @default 10 */
  readonly patience?: number;
  /** Observations after a reduction in which none counts as bad. @default 0 */
  readonly cooldown?: number;
  /** Smallest factor. @default 0 */
  readonly floor?: number;
}

/** What a {@link Plateau} knows; JSON. */
export interface PlateauState {
  readonly best?: number;
  readonly badCount: number;
  readonly cooldownCount: number;
  /** Factor of the learning rate. */
  readonly factor: number;
}

/** Lowers the learning rate when a metric no longer improves. */
export interface Plateau {
  readonly initial: PlateauState;
  /** A value that is not a number counts as no improvement. */
  observe(state: PlateauState, value: number): PlateauState;
}

/** Source: torch.optim.lr_scheduler.ReduceLROnPlateau (whose threshold is 1e-4, relative). */
export function plateau({ factor = 0.1, patience = 10, cooldown = 0, floor = 0, ...watch }: PlateauOptions = {}): Plateau {
  return {
    initial: { badCount: 0, cooldownCount: 0, factor: 1 },
    observe(state, value) {
      const better = improves(value, state.best, watch);
      const cooling = state.cooldownCount > 0;
      const badCount = better || cooling ? 0 : state.badCount + 1;
      const best = better ? { best: value } : state.best === undefined ? {} : { best: state.best };
      if (badCount <= patience) return { ...best, badCount, cooldownCount: cooling ? state.cooldownCount - 1 : 0, factor: state.factor };
      return { ...best, badCount: 0, cooldownCount: cooldown, factor: Math.max(floor, state.factor * factor) };
    },
  };
}

/** Settings of {@link earlyStopping}. */
export interface EarlyStoppingOptions extends WatchOptions {
  /** Observations without improvement that are borne. @default 5 */
  readonly patience?: number;
}

/** What early stopping knows; JSON. */
export interface EarlyStoppingState {
  readonly best?: number;
  /** Number of the best observation, 1 = the first: whose weights to keep. */
  readonly bestAt: number;
  readonly count: number;
  readonly stopped: boolean;
}

/** Ends a training whose metric no longer improves. */
export interface EarlyStopping {
  readonly initial: EarlyStoppingState;
  /** A value that is not a number counts as no improvement. */
  observe(state: EarlyStoppingState, value: number): EarlyStoppingState;
}

/** Source: Prechelt, Early Stopping – But When? (1998), criterion UP. */
export function earlyStopping({ patience = 5, ...watch }: EarlyStoppingOptions = {}): EarlyStopping {
  return {
    initial: { bestAt: 0, count: 0, stopped: false },
    observe(state, value) {
      const count = state.count + 1;
      if (improves(value, state.best, watch)) return { best: value, bestAt: count, count, stopped: state.stopped };
      return { ...state, count, stopped: state.stopped || count - state.bestAt > patience };
    },
  };
}

function improves(value: number, best: number | undefined, { mode = "min", threshold = 0, thresholdMode = "absolute" }: WatchOptions): boolean {
  if (Number.isNaN(value)) return false;
  if (best === undefined) return true;
  const margin = thresholdMode === "relative" ? Math.abs(best) * threshold : threshold;
  return mode === "min" ? value < best - margin : value > best + margin;
}
