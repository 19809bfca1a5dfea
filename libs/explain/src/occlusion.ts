import { allShown, predictAll, type FeatureValues, type Predict } from "./coalition.ts";

/** How to occlude. */
export interface OcclusionOptions {
  readonly predict: Predict;
  /** How many features there are. */
  readonly count: number;
  /** Masks in one question. @default 32 */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/**
 * Hides one feature after the other: a feature is worth what the prediction loses without it. Right for features that act on
 * their own; where two say the same, hiding one of them changes little and both look worthless.
 *
 * Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.2.
 */
export async function occlude({ predict, count, batchSize = 32, signal }: OcclusionOptions): Promise<FeatureValues> {
  const without = Array.from({ length: count }, (_, feature) => allShown(count).with(feature, 0));
  const [prediction = NaN, baselinePrediction = NaN, ...hidden] = await predictAll(predict, [allShown(count), new Uint8Array(count), ...without], batchSize, signal);
  return { values: Float64Array.from(hidden, (value) => prediction - value), prediction, baselinePrediction, evaluations: count + 2 };
}
