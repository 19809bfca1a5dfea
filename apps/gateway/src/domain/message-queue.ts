/** A queue between one reader and several writers; writers wait while it is full. */
export interface MessageQueue<T> extends AsyncIterable<T> {
  /** Resolves when there is room for more; what is pushed after the end is dropped. */
  push(item: T): Promise<void>;
  /** Ends the reading after what is queued. */
  end(): void;
  /** Ends the reading with an error, at once. */
  fail(error: unknown): void;
}

/** An empty queue; `itemsMax` items may wait before writers do. */
export function createMessageQueue<T>(itemsMax: number): MessageQueue<T> {
  const items: T[] = [];
  let ended = false;
  let failure: { error: unknown } | undefined;
  let wakeReader: (() => void) | undefined;
  let wakeWriters: (() => void)[] = [];
  const release = (): void => {
    for (const wake of wakeWriters.splice(0)) wake();
  };
  const stop = (): void => {
    ended = true;
    wakeReader?.();
    release();
  };
  return {
    async push(item) {
      if (ended) return;
      items.push(item);
      wakeReader?.();
      if (items.length >= itemsMax) await new Promise<void>((resolve) => wakeWriters.push(resolve));
    },
    end: stop,
    fail(error) {
      failure ??= { error };
      stop();
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          if (failure !== undefined) throw failure.error;
          const item = items.shift();
          if (item !== undefined) {
            if (items.length < itemsMax) release();
            yield item;
          } else if (ended) return;
          else await new Promise<void>((resolve) => (wakeReader = resolve));
        }
      } finally {
        wakeWriters = wakeWriters.splice(0).filter((wake) => (wake(), false));
        ended = true;
      }
    },
  };
}
