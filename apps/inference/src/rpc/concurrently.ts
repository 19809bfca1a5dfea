/** One piece of work of a stream. Works of one lane follow each other; others run side by side. */
export interface LaneWork<T> {
  readonly lane: string | undefined;
  readonly work: () => AsyncIterable<T>;
}

/**
 * Works on the items of a stream side by side, at most `inFlightMax` at a time, and yields what they give as it comes. Ends
 * when all are done; an item that cannot be begun ends the whole.
 */
export async function* concurrently<I, T>(items: AsyncIterable<I>, inFlightMax: number, signal: AbortSignal, begin: (item: I) => LaneWork<T>): AsyncGenerator<T> {
  const ready: T[] = [];
  const lanes = new Map<string, Promise<void>>();
  let [inFlight, isRead, isClosed] = [0, false, false];
  let failure: { error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const tell = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };

  /** Waits while more is under way or unsent than may be; nobody waits for a stream that has ended. */
  const room = async (isFull: () => boolean): Promise<void> => {
    while (isFull() && failure === undefined && !isClosed && !signal.aborted) await wake.promise;
  };

  const run = async ({ lane, work }: LaneWork<T>): Promise<void> => {
    if (lane !== undefined) await lanes.get(lane);
    for await (const value of work()) {
      ready.push(value);
      tell();
      await room(() => ready.length >= inFlightMax);
      if (isClosed) return;
    }
  };
  const start = (item: LaneWork<T>): void => {
    inFlight++;
    const done = run(item)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => {
        inFlight--;
        if (item.lane !== undefined && lanes.get(item.lane) === done) lanes.delete(item.lane);
        tell();
      });
    if (item.lane !== undefined) lanes.set(item.lane, done);
  };
  const read = async (): Promise<void> => {
    for await (const item of items) {
      start(begin(item));
      await room(() => inFlight >= inFlightMax || ready.length >= inFlightMax);
      if (failure !== undefined || isClosed || signal.aborted) return;
    }
  };
  const onAbort = (): void => tell();
  signal.addEventListener("abort", onAbort, { once: true });
  void read()
    .catch((error: unknown) => void (failure ??= { error }))
    .finally(() => {
      isRead = true;
      tell();
    });

  try {
    for (;;) {
      signal.throwIfAborted();
      const waiting = wake.promise;
      const value = ready.shift();
      if (value !== undefined) {
        if (ready.length === inFlightMax - 1) tell();
        yield value;
      } else if (failure !== undefined) {
        throw failure.error;
      } else if (isRead && inFlight === 0) {
        return;
      } else {
        await waiting;
      }
    }
  } finally {
    isClosed = true;
    signal.removeEventListener("abort", onAbort);
    tell();
  }
}
