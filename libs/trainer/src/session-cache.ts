/** Things by key, the least recently used of which make way. */
export class SessionCache<T extends { release(): void }> {
  readonly #entries = new Map<string, T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** The entry of a key, created when there is none. */
  get(key: string, create: () => T): T {
    const known = this.#entries.get(key);
    const entry = known ?? create();
    if (known !== undefined && this.#entries.size > 1) this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > this.#max) {
      const [oldest, released] = this.#entries.entries().next().value as [string, T];
      this.#entries.delete(oldest);
      released.release();
    }
    return entry;
  }

  clear(): void {
    for (const entry of this.#entries.values()) entry.release();
    this.#entries.clear();
  }
}
