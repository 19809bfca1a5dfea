// What occlusion and Shapley values need of a model is one question: what does it say when only these features are shown?
// A mask has a byte for each feature, 1 = shown; hidden features are as in the baseline.

/** Answers the explained number for each of several masks; how many masks come at once is up to the asker. */
export type Predict = (masks: readonly Uint8Array[]) => Promise<readonly number[]>;

/** What features are worth, one by one. */
export interface FeatureValues {
  readonly values: Float64Array;
  readonly prediction: number;
  readonly baselinePrediction: number;
  /** How often the model was asked. */
  readonly evaluations: number;
}

/** All features shown. */
export const allShown = (count: number): Uint8Array => new Uint8Array(count).fill(1);

/** Asks in batches of a bounded size. */
export async function predictAll(predict: Predict, masks: readonly Uint8Array[], batchSize: number, signal?: AbortSignal): Promise<number[]> {
  const answers: number[] = [];
  for (let from = 0; from < masks.length; from += batchSize) {
    signal?.throwIfAborted();
    answers.push(...(await predict(masks.slice(from, from + batchSize))));
  }
  return answers;
}
