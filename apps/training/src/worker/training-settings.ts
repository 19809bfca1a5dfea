// The settings of a job as the trainer's parts.

import {
  adagrad,
  adam,
  adamW,
  constantSchedule,
  cosineSchedule,
  lamb,
  linearSchedule,
  lion,
  oneCycleSchedule,
  plateau,
  rmsprop,
  sgd,
  stepSchedule,
  warmUp,
  type Optimizer,
  type Plateau,
  type Schedule,
} from "@servable/optim";
import type { TrainingSpecRecord } from "../domain/training-spec-record.ts";

/** The optimiser that a specification names. Penalties of the loss are the network's; decay is the optimiser's. */
export function optimizerOf(spec: TrainingSpecRecord): Optimizer {
  const { learningRate, momentum, weightDecay } = spec;
  const { beta1, beta2, epsilon, nesterov, smoothing } = spec.optimizerSettings;
  const betas = { ...(beta1 === undefined ? {} : { beta1 }), ...(beta2 === undefined ? {} : { beta2 }) };
  const small = epsilon === undefined ? {} : { epsilon };
  switch (spec.optimizer) {
    case "adam":
      return adam({ learningRate, ...betas, ...small, l2: weightDecay });
    case "adamw":
      return adamW({ learningRate, ...betas, ...small, weightDecay });
    case "sgd":
      return sgd({ learningRate, momentum, nesterov, l2: weightDecay });
    case "lion":
      return lion({ learningRate, ...betas, weightDecay });
    case "rmsprop":
      return rmsprop({ learningRate, momentum, ...(smoothing === undefined ? {} : { smoothing }), ...small, l2: weightDecay });
    case "adagrad":
      return adagrad({ learningRate, ...small, l2: weightDecay });
    case "lamb":
      return lamb({ learningRate, ...betas, ...small, weightDecay });
    default: {
      const never: never = spec.optimizer;
      return never;
    }
  }
}

/** Factor of the learning rate for each step of a run of so many. */
export function scheduleOf({ schedule }: Pick<TrainingSpecRecord, "schedule">, stepCount: number): Schedule {
  const { warmupSteps } = schedule;
  const steps = Math.max(1, stepCount - warmupSteps);
  const then = shapeOf(schedule, steps);
  return warmupSteps === 0 ? then : warmUp({ steps: warmupSteps, start: 1 / (warmupSteps + 1), then });
}

function shapeOf({ shape, factor, intervalSteps, finalFraction, riseFraction }: TrainingSpecRecord["schedule"], steps: number): Schedule {
  switch (shape) {
    case "constant":
    case "plateau":
      return constantSchedule();
    case "step":
      return stepSchedule({ every: intervalSteps === 0 ? Math.max(1, Math.ceil(steps / 3)) : intervalSteps, factor });
    case "cosine":
      return cosineSchedule({ steps, floor: finalFraction });
    case "linear":
      return linearSchedule({ steps, floor: finalFraction });
    case "one_cycle":
      return oneCycleSchedule({ steps, warmUpFraction: riseFraction });
    default: {
      const never: never = shape;
      return never;
    }
  }
}

/** What lowers the rate when the watched metric no longer improves; undefined for other schedules. */
export function plateauOf({ schedule, earlyStopping }: Pick<TrainingSpecRecord, "schedule" | "earlyStopping">): Plateau | undefined {
  if (schedule.shape !== "plateau") return undefined;
  return plateau({ factor: schedule.factor, patience: schedule.patience, mode: directionOf(watchedMetric({ earlyStopping })), threshold: earlyStopping?.minDelta ?? 0 });
}

/** The metric that early stopping and the plateau schedule look at. */
export function watchedMetric({ earlyStopping }: Pick<TrainingSpecRecord, "earlyStopping">): string {
  return earlyStopping?.metric ?? "validation_loss";
}

const SMALLER_IS_BETTER = /loss|error|perplexity|rmse|mae|mse|brier|deviation/;

/** Whether smaller or larger values of a metric are better, by its name. */
export function directionOf(metric: string): "min" | "max" {
  return SMALLER_IS_BETTER.test(metric) ? "min" : "max";
}
