/** Wakes watchers after a commit. Watchers also look by themselves now and then: another process may have written. */
export class ChangeSignal {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  /** How often something changed; whoever keeps what it read compares this. */
  get count(): number {
    return this.#count;
  }

  /** Tells every waiter that something changed. */
  notify(): void {
    this.#count++;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Starts to listen now; the promise resolves at the next change, after `timeoutMs` or when the signal aborts. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener("abort", wake, { once: true });
      this.#waiting.add(wake);
    });
  }
}
