const FIRST_BYTES = 64 * 1024;
const FIRST_TEXTS = 1024;
const MISSING = 1;

/** Texts as one block of UTF-8: a megabyte of text takes a megabyte, not the several that strings take. */
export class TextStore {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  /** Where each text ends. */
  #ends = new Float64Array(FIRST_TEXTS);
  #flags = new Uint8Array(FIRST_TEXTS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(text: string | undefined): void {
    if (this.#count === this.#ends.length) {
      const [ends, flags] = [new Float64Array(this.#count * 2), new Uint8Array(this.#count * 2)];
      ends.set(this.#ends);
      flags.set(this.#flags);
      [this.#ends, this.#flags] = [ends, flags];
    }
    const start = this.#startOf(this.#count);
    // A UTF-16 unit takes at most three bytes.
    const needed = start + (text?.length ?? 0) * 3;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    this.#ends[this.#count] = start + (text === undefined ? 0 : this.#bytes.write(text, start, "utf8"));
    this.#flags[this.#count] = text === undefined ? MISSING : 0;
    this.#count++;
  }

  /** A text; undefined = missing. */
  text(index: number): string | undefined {
    if (!(index >= 0 && index < this.#count)) throw new RangeError(`there is no text ${index} of ${this.#count}`);
    return this.#flags[index] === MISSING ? undefined : this.#bytes.toString("utf8", this.#startOf(index), this.#ends[index]);
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] as number);
  }
}
