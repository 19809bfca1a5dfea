import {
  gridSampler,
  hyperbandPruner,
  neverPruner,
  percentilePruner,
  randomSampler,
  sobolSampler,
  successiveHalvingPruner,
  thresholdPruner,
  tpeSampler,
  type Pruner,
  type Sampler,
  type Trial,
} from "@servable/tuning";
import type { SamplerRecord, StudyRecord, TrialRecord } from "./study-records.ts";

/** The sampler of a study. */
export function samplerOf({ algorithm, startupTrialCount, gridPointCount }: SamplerRecord): Sampler {
  switch (algorithm) {
    case "random":
      return randomSampler();
    case "grid":
      return gridSampler({ pointsPerFloat: gridPointCount });
    case "sobol":
      return sobolSampler();
    case "tpe":
      // Sobol's points before it learns: none of the few is wasted next to another.
      return tpeSampler({ startupTrials: startupTrialCount, startup: sobolSampler() });
    default: {
      const never: never = algorithm;
      return never;
    }
  }
}

/** The pruner of a study. */
export function prunerOf({ pruner, name }: Pick<StudyRecord, "pruner" | "name">): Pruner {
  if (pruner === undefined) return neverPruner;
  const { algorithm, startupTrialCount: startupTrials, warmupStepCount: warmupSteps, percentile, minResource, maxResource, reductionFactor, lower, upper } = pruner;
  switch (algorithm) {
    case "median":
      return percentilePruner({ startupTrials, warmupSteps });
    case "percentile":
      return percentilePruner({ percentile, startupTrials, warmupSteps });
    case "asha":
      return successiveHalvingPruner({ minResource, reductionFactor });
    case "hyperband":
      return hyperbandPruner({ minResource, maxResource, reductionFactor, studyName: name });
    case "threshold":
      return thresholdPruner({ warmupSteps, ...(lower === undefined ? {} : { lower }), ...(upper === undefined ? {} : { upper }) });
    default: {
      const never: never = algorithm;
      return never;
    }
  }
}

/** A trial as samplers and pruners see it. */
export function asTrial({ number, state, values, objective, reports }: TrialRecord): Trial {
  return { number, state: state === "CANCELLED" ? "FAILED" : state, values, objective, intermediate: reports };
}
