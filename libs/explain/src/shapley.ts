// A feature's Shapley value is what it adds to the prediction, averaged over all orders in which features may come to be
// shown: the only rule that treats equal features alike, gives nothing to features that change nothing, is linear in the
// model and adds up. Orders are n! many, so some are drawn. Each order is walked in both directions: what an early place
// overrates a late one underrates, which halves the variance and more for functions that are nearly additive.
//
// Source: Castro, Gómez & Tejada, Polynomial calculation of the Shapley value based on sampling (2009), algorithm ApproShapley;
// antithetic pairs: Mitchell, Cooper, Frank & Holmes, Sampling Permutations for Shapley Value Estimation (2022), section 3.

import { randomStream } from "@servable/nn";
import { allShown, predictAll, type FeatureValues, type Predict } from "./coalition.ts";

/** How to sample. */
export interface ShapleyOptions {
  readonly predict: Predict;
  /** How many features there are. */
  readonly count: number;
  /** Orders that are drawn, walked in both directions each. @default 8 */
  readonly orders?: number;
  /** The same seed draws the same orders. @default 0 */
  readonly seed?: number;
  /** Masks in one question. @default 32 */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** Sampled Shapley values, which add up exactly, with the standard error of each over the pairs of orders. */
export async function shapley({ predict, count, orders = 8, seed = 0, batchSize = 32, signal }: ShapleyOptions): Promise<FeatureValues & { readonly standardErrors: Float64Array }> {
  const random = randomStream(seed, "shapley");
  const [prediction = NaN, baselinePrediction = NaN] = await predictAll(predict, [allShown(count), new Uint8Array(count)], batchSize, signal);
  const means = new Float64Array(count);
  const squares = new Float64Array(count);
  for (let drawn = 1; drawn <= orders; drawn++) {
    const order = random.permutation(count);
    const walks = [order, order.toReversed()];
    const masks = walks.flatMap((walk) => {
      const mask = new Uint8Array(count);
      // The last one shows everything, which is known.
      return Array.from(walk.subarray(0, count - 1), (feature) => (mask[feature] = 1) && mask.slice());
    }) as Uint8Array[];
    const answers = await predictAll(predict, masks, batchSize, signal);
    const pair = new Float64Array(count);
    for (const [which, walk] of walks.entries()) {
      let before = baselinePrediction;
      for (const [place, feature] of walk.entries()) {
        const after = place === count - 1 ? prediction : (answers[which * (count - 1) + place] ?? NaN);
        pair[feature] = (pair[feature] ?? 0) + (after - before) / 2;
        before = after;
      }
    }
    // Welford's running mean and variance.
    for (const [feature, value] of pair.entries()) {
      const delta = value - (means[feature] ?? 0);
      means[feature] = (means[feature] ?? 0) + delta / drawn;
      squares[feature] = (squares[feature] ?? 0) + delta * (value - (means[feature] ?? 0));
    }
  }
  const standardErrors = squares.map((square) => (orders > 1 ? Math.sqrt(square / (orders - 1) / orders) : Infinity));
  return { values: means, prediction, baselinePrediction, evaluations: 2 + orders * 2 * Math.max(0, count - 1), standardErrors };
}
