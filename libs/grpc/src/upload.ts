/** Where the requests of a streaming call go. */
export interface UploadSink {
  /** Answers false when the next message should wait for `drained`. */
  write(message: Uint8Array): boolean;
  /** Resolves when there is room again, or the call is over. */
  drained(): Promise<void>;
  end(): void;
  /** The requests themselves failed. */
  fail(error: unknown): void;
}

/** Sends messages one after the other until they end or the returned function is called; it does not wait for either. */
export function startUpload(requests: AsyncIterable<Uint8Array>, sink: UploadSink): () => void {
  const iterator = requests[Symbol.asyncIterator]();
  let stopped = false;
  const run = async (): Promise<void> => {
    try {
      for (;;) {
        const next = await iterator.next();
        if (stopped) return;
        if (next.done === true) return sink.end();
        if (!sink.write(next.value)) await sink.drained();
      }
    } catch (error) {
      if (!stopped) sink.fail(error);
    }
  };
  void run();
  return () => {
    if (stopped) return;
    stopped = true;
    // Whoever made the requests may clean up now; whether that works changes nothing for a call that is over.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  };
}
