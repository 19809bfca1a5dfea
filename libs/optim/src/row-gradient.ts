// The gradient of an embedding table is zero but for the rows that a batch picked. The rows are added up where they belong in
// the table's gradient, and only they are read: the rest of that memory is never touched, so it takes no RAM.

/** Rows of a table that this step's gradient has, and those that any step had. */
export class RowGradient {
  readonly rowLength: number;
  readonly rowCount: number;
  readonly #gradient: Float32Array;
  readonly #touched: Uint8Array;
  /** Rows whose state may be other than 0. */
  readonly #alive: Uint8Array;
  /** Whether this step's gradient came as rows. */
  active = false;

  /** @param gradient of the whole table: [rows, rowLength] */
  constructor(gradient: Float32Array, rowLength: number) {
    this.#gradient = gradient;
    this.rowLength = rowLength;
    this.rowCount = gradient.length / rowLength;
    this.#touched = new Uint8Array(this.rowCount);
    this.#alive = new Uint8Array(this.rowCount);
  }

  /** Forgets the gradient of the step before. */
  clear(): void {
    this.#touched.fill(0);
    this.active = false;
  }

  /**
   * Adds weight·rows[i] to the row indices[i], in that order.
   *
   * @throws RangeError for an index outside the table
   */
  add(indices: Int32Array, rows: Float32Array, weight: number): void {
    this.active = true;
    const { rowLength } = this;
    for (let at = 0; at < indices.length; at++) {
      const row = indices[at] as number;
      if (row < 0 || row >= this.rowCount) throw new RangeError(`row ${row} of a table of ${this.rowCount} rows`);
      const target = this.#gradient.subarray(row * rowLength, (row + 1) * rowLength);
      const source = rows.subarray(at * rowLength, (at + 1) * rowLength);
      if (this.#touched[row] === 0) {
        this.#touched[row] = this.#alive[row] = 1;
        if (weight === 1) target.set(source);
        else for (let i = 0; i < rowLength; i++) target[i] = (source[i] as number) * weight;
      } else {
        for (let i = 0; i < rowLength; i++) target[i] = (target[i] as number) + (source[i] as number) * weight;
      }
    }
  }

  /** Runs of rows that have a gradient, as [first, end). */
  *touchedRuns(): Generator<readonly [number, number]> {
    yield* this.#runs((row) => this.#touched[row] === 1);
  }

  /** Runs of rows without one; `withState` leaves out those that never had one. */
  *idleRuns(withState: boolean): Generator<readonly [number, number]> {
    yield* this.#runs((row) => this.#touched[row] === 0 && (!withState || this.#alive[row] === 1));
  }

  /** Takes note of which rows have state, after it was restored. */
  restoreState(slots: readonly Float32Array[]): void {
    for (let row = 0; row < this.rowCount; row++) {
      this.#alive[row] = slots.some((slot) => slot.subarray(row * this.rowLength, (row + 1) * this.rowLength).some((value) => value !== 0)) ? 1 : 0;
    }
  }

  /** Every row may have state: a dense gradient came. */
  touchAll(): void {
    this.#alive.fill(1);
  }

  *#runs(belongs: (row: number) => boolean): Generator<readonly [number, number]> {
    for (let row = 0; row < this.rowCount; row++) {
      if (!belongs(row)) continue;
      const first = row;
      while (row + 1 < this.rowCount && belongs(row + 1)) row++;
      yield [first, row + 1];
    }
  }
}
