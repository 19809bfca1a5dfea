/**
 * Turns each item of a source into any number of results, up to `inflightMax` items at a time, and yields the results in the
 * order of the items. The source is read no faster than that.
 */
export async function* mapInOrder<T, R>(source: AsyncIterable<T>, inflightMax: number, results: (item: T) => AsyncIterable<R>): AsyncGenerator<R> {
  const items = source[Symbol.asyncIterator]();
  const running: Promise<readonly R[]>[] = [];
  let isAtEnd = false;
  let reading: Promise<void> | undefined;
  const read = (): void => {
    if (reading !== undefined || isAtEnd || running.length >= inflightMax) return;
    reading = items.next().then(
      (next) => {
        reading = undefined;
        if (next.done === true) isAtEnd = true;
        else {
          running.push(settledLater(collect(results(next.value))));
          read();
        }
      },
      (error: unknown) => {
        reading = undefined;
        isAtEnd = true;
        running.push(settledLater(Promise.reject(error as Error)));
      },
    );
  };
  try {
    for (;;) {
      read();
      const [head] = running;
      if (head === undefined) {
        if (reading === undefined) return;
        await reading;
        continue;
      }
      const done = await head;
      void running.shift();
      yield* done;
    }
  } finally {
    await items.return?.(undefined);
  }
}

async function collect<R>(results: AsyncIterable<R>): Promise<readonly R[]> {
  const all: R[] = [];
  for await (const result of results) all.push(result);
  return all;
}

/** A promise whose failure is looked at in its turn, not at once. */
function settledLater<R>(promise: Promise<R>): Promise<R> {
  promise.catch(() => {}); // Awaited when its turn comes.
  return promise;
}
