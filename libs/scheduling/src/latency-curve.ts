// What a batch of n elements takes, learned from the batches that ran. Each size has an exponentially weighted mean; sizes
// that were not seen lie on the line through their seen neighbours, beyond the largest on the line a + b·n that fits all of
// them. A profile taken once at load would be cheaper and wrong on a machine whose neighbours come and go.

/** Weight of a new observation, once there are some; about the last twenty count. */
const WEIGHT_MIN = 0.1;
/** Runs of a size before it speaks for or against larger batches: the first ones pay for memory. */
const COUNT_TRUSTED = 3;
/** A smaller batch that costs this much more for an element is as good. */
const EFFICIENT_RATIO = 1.03;
/** Runs between two looks at which size is efficient. */
const LOOK_EVERY = 16;

/** Learns batch size → run time. */
export class LatencyCurve {
  readonly #meansUs = new Map<number, { us: number; count: number }>();
  #observationCount = 0;
  #points: readonly Point[] | undefined;
  #efficient = { size: 0, forMax: -1, atCount: 0 };

  /** How many runs it has seen. */
  get observationCount(): number {
    return this.#observationCount;
  }

  /** Takes the run time of one batch. */
  observe(batchSize: number, runUs: number): void {
    this.#observationCount++;
    this.#points = undefined;
    const mean = this.#meansUs.get(batchSize);
    if (mean === undefined) {
      this.#meansUs.set(batchSize, { us: runUs, count: 1 });
      return;
    }
    mean.count++;
    mean.us += Math.max(WEIGHT_MIN, 1 / mean.count) * (runUs - mean.us);
  }

  /** Microseconds that a batch of this size is expected to run; 0 while nothing is known. Never falls with the size. */
  predictUs(batchSize: number): number {
    const known = this.#known();
    const first = known[0];
    if (first === undefined) return 0;
    if (batchSize <= first.size) return known.length === 1 ? first.us : Math.min(first.us, interpolate(known, batchSize));
    return interpolate(known, batchSize);
  }

  /** The largest size up to `sizeMax` whose run fits `budgetUs`; at least 1. */
  largestWithin(budgetUs: number, sizeMax: number): number {
    if (this.#meansUs.size === 0) return sizeMax;
    let low = 1;
    let high = sizeMax;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.predictUs(middle) <= budgetUs) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * The smallest size up to `sizeMax` whose elements cost no more than in the best batch seen; `sizeMax` while too little
   * is known. Convolutions gain nothing from company, and a batch that gains nothing only makes everybody wait.
   */
  efficientSize(sizeMax: number): number {
    const { size, forMax, atCount } = this.#efficient;
    if (forMax === sizeMax && this.#observationCount - atCount < LOOK_EVERY) return size;
    const found = this.#findEfficient(sizeMax);
    this.#efficient = { size: found, forMax: sizeMax, atCount: this.#observationCount };
    return found;
  }

  #findEfficient(sizeMax: number): number {
    const trusted = [...this.#meansUs].filter(([size, { count }]) => size <= sizeMax && count >= COUNT_TRUSTED);
    if (trusted.length < 2) return sizeMax;
    const best = Math.min(...trusted.map(([size, { us }]) => us / size));
    for (let size = 1; size < sizeMax; size++) if (this.predictUs(size) / size <= best * EFFICIENT_RATIO) return size;
    return sizeMax;
  }

  /** What was learned, ascending by size, made monotone. */
  #known(): readonly Point[] {
    if (this.#points !== undefined) return this.#points;
    const points = [...this.#meansUs].map(([size, { us }]) => ({ size, us })).sort((a, b) => a.size - b.size);
    for (let index = 1; index < points.length; index++) {
      const [before, here] = [points[index - 1], points[index]];
      if (before !== undefined && here !== undefined) here.us = Math.max(here.us, before.us);
    }
    this.#points = points;
    return points;
  }
}

interface Point {
  readonly size: number;
  us: number;
}

function interpolate(known: readonly Point[], size: number): number {
  const above = known.findIndex((point) => point.size >= size);
  const right = known[above];
  const left = known[above - 1];
  if (right !== undefined && left !== undefined) return left.us + ((right.us - left.us) * (size - left.size)) / (right.size - left.size);
  if (right !== undefined) return right.us;
  // Beyond what was seen: on along the last known slope, or in proportion when one size is all there is.
  const [last, before] = [known.at(-1), known.at(-2)];
  if (last === undefined) return 0;
  const slope = before === undefined ? last.us / last.size : Math.max(0, (last.us - before.us) / (last.size - before.size));
  return last.us + slope * (size - last.size);
}
