import { randomStream } from "@servable/nn";

/** Where the batches stand: what a checkpoint keeps of the data. */
export interface CursorState {
  /** Pass over the rows, 1 = the first. */
  readonly epoch: number;
  /** Rows of the pass that were taken. */
  readonly offset: number;
}

/** How rows become batches. */
export interface BatchCursorOptions {
  readonly rows: Uint32Array;
  /** Rows of one batch. */
  readonly batchSize: number;
  /** Batches of one optimiser step. */
  readonly accumulationCount: number;
  readonly seed: number;
}

/**
 * The order of the rows: a permutation for each pass, drawn from the seed and the number of the pass. So a cursor is two
 * numbers, and step k has the same rows in every process.
 */
export class BatchCursor {
  readonly stepsPerEpoch: number;
  readonly #options: BatchCursorOptions;
  #state: CursorState = { epoch: 1, offset: 0 };
  #order: { readonly epoch: number; readonly rows: Uint32Array } | undefined;

  constructor(options: BatchCursorOptions) {
    this.#options = options;
    this.stepsPerEpoch = Math.max(1, Math.ceil(options.rows.length / (options.batchSize * options.accumulationCount)));
  }

  get state(): CursorState {
    return this.#state;
  }

  set state(state: CursorState) {
    this.#state = state;
  }

  /** Whether all rows of the pass were taken. */
  get atEpochEnd(): boolean {
    return this.#state.offset >= this.#options.rows.length;
  }

  /** Rows of the batches of the next step; the last step of a pass has what is left. */
  next(): Uint32Array[] {
    const { rows, batchSize, accumulationCount } = this.#options;
    if (this.atEpochEnd) this.#state = { epoch: this.#state.epoch + 1, offset: 0 };
    const { epoch, offset } = this.#state;
    const order = this.#orderOf(epoch);
    const end = Math.min(rows.length, offset + batchSize * accumulationCount);
    const batches: Uint32Array[] = [];
    for (let start = offset; start < end; start += batchSize) batches.push(order.subarray(start, Math.min(end, start + batchSize)));
    this.#state = { epoch, offset: end };
    return batches;
  }

  #orderOf(epoch: number): Uint32Array {
    if (this.#order?.epoch !== epoch) {
      const { rows, seed } = this.#options;
      this.#order = { epoch, rows: randomStream(seed, `epoch ${epoch}`).permutation(rows.length).map((index) => rows[index] ?? 0) };
    }
    return this.#order.rows;
  }
}
