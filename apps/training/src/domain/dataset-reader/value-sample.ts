import { quantile, uniformNumbers } from "@servable/preprocessing";

/** Values that are kept: enough for quantiles to half a percent. */
const SAMPLE_MAX = 16_384;
const FIRST_VALUES = 256;
const BINS = 20;
const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95] as const;

/**
 * Numbers in one pass: mean and deviation exactly (Welford 1962), quantiles and histogram from a sample that is all of them
 * while they are few, and then a uniform one (algorithm R, Vitter 1985) by a fixed seed, so that the same file has the same
 * statistics.
 */
export class ValueSample {
  readonly #uniform = uniformNumbers(0);
  #kept = new Float64Array(FIRST_VALUES);
  count = 0;
  mean = 0;
  #squares = 0;
  min = Infinity;
  max = -Infinity;

  add(value: number): void {
    this.count++;
    const difference = value - this.mean;
    this.mean += difference / this.count;
    this.#squares += difference * (value - this.mean);
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    if (this.count <= SAMPLE_MAX) {
      if (this.count > this.#kept.length) {
        const grown = new Float64Array(this.#kept.length * 2);
        grown.set(this.#kept);
        this.#kept = grown;
      }
      this.#kept[this.count - 1] = value;
      return;
    }
    const place = Math.floor(this.#uniform() * this.count);
    if (place < SAMPLE_MAX) this.#kept[place] = value;
  }

  /** Of the population. */
  get standardDeviation(): number {
    return Math.sqrt(this.#squares / Math.max(1, this.count));
  }

  /** Quantiles, and the shares of bins of one width. */
  distribution(): { quantiles: number[]; histogramEdges: number[]; histogramShares: number[] } {
    const values = this.#kept.slice(0, Math.min(this.count, SAMPLE_MAX)).sort();
    if (values.length === 0) return { quantiles: [], histogramEdges: [], histogramShares: [] };
    const quantiles = QUANTILES.map((share) => quantile(values, share));
    const width = (this.max - this.min) / BINS;
    if (!(width > 0) || !Number.isFinite(width)) return { quantiles, histogramEdges: [this.min, this.max], histogramShares: [1] };
    const counts = new Array<number>(BINS).fill(0);
    for (const value of values) {
      const bin = Math.min(BINS - 1, Math.floor((value - this.min) / width));
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return { quantiles, histogramEdges: Array.from({ length: BINS + 1 }, (_, edge) => (edge === BINS ? this.max : this.min + edge * width)), histogramShares: counts.map((count) => count / values.length) };
  }
}
