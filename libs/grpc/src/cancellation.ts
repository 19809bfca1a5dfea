// Nearly every call ends by itself, and an AbortController with its listeners costs more than the rest of a served call's
// context. So a call carries this: a flag, a few listeners, and a real AbortSignal only for whoever asks for one.

/** What ends a call early: an AbortSignal, or the lighter signal of a served call. */
export interface Cancellation {
  readonly aborted: boolean;
  /** An AbortError when the caller cancelled, a TimeoutError when the deadline passed. */
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** The cancellation of one served call. */
export class CallCancellation implements Cancellation {
  #aborted = false;
  #reason: unknown;
  #listeners: (() => void)[] | undefined;
  #controller: AbortController | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The same as an AbortSignal, for everything that takes one. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    (this.#listeners ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index >= 0) this.#listeners?.splice(index, 1);
  }

  /** Tells everyone, once. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listeners = this.#listeners?.splice(0) ?? [];
    for (const listener of listeners) listener();
    this.#controller?.abort(reason);
  }
}
