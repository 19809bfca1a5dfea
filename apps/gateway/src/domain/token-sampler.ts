/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0 = always the likeliest. */
  readonly temperature: number;
  /** Only the likeliest tokens that together have this probability. */
  readonly topP: number;
  /** The same seed, the same text; undefined = another each time. */
  readonly seed: number | undefined;
}

/** A chosen token with its logarithm under the model itself, and the likeliest ones beside it. */
export interface SampledToken {
  readonly id: number;
  readonly logprob: number;
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/**
 * Chooses tokens from logits.
 *
 * Source: nucleus sampling, Holtzman et al. 2019, section 3.1; the candidate that crosses `topP` is the last one kept.
 */
export function createSampler({ temperature, topP, seed }: SamplingOptions): (logits: Float32Array, shownCount: number) => SampledToken {
  const random = seed === undefined ? Math.random : seeded(seed);
  return (logits, shownCount) => {
    const highest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const normalizer = Math.log(logits.reduce((sum, value) => sum + Math.exp(value - highest), 0)) + highest;
    // Ties go to the lower id, so that greedy answers repeat.
    const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
    const logprobOf = (id: number): number => (logits[id] ?? -Infinity) - normalizer;
    const id = temperature === 0 ? (order[0] ?? 0) : draw(order, logits, highest);
    return { id, logprob: logprobOf(id), top: order.slice(0, shownCount).map((each) => ({ id: each, logprob: logprobOf(each) })) };
  };

  function draw(order: readonly number[], logits: Float32Array, highest: number): number {
    const weights = order.map((id) => Math.exp(((logits[id] ?? -Infinity) - highest) / temperature));
    const total = weights.reduce((a, b) => a + b, 0);
    let [kept, count] = [0, 0];
    while (count < weights.length && (count === 0 || kept < topP * total)) kept += weights[count++] ?? 0;
    let left = random() * kept;
    for (let index = 0; index < count; index++) {
      left -= weights[index] ?? 0;
      if (left <= 0) return order[index] ?? 0;
    }
    return order[count - 1] ?? 0;
  }
}

/** Numbers from 0 to below 1 that follow from a seed. Source: mulberry32 by Tommy Ettinger (public domain). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
