/** Median and 99th percentile of durations in milliseconds, as text. */
export function summary(durationsMs: readonly number[]): string {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

/** Runs `call` with `concurrency` at once until `count` are done; answers durations and calls a second. */
export async function load(call: () => Promise<unknown>, concurrency: number, count: number): Promise<{ durationsMs: number[]; perSecond: number }> {
  const durationsMs: number[] = [];
  let left = count;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) {
        const before = performance.now();
        await call();
        durationsMs.push(performance.now() - before);
      }
    }),
  );
  return { durationsMs, perSecond: (count * 1_000) / (performance.now() - started) };
}
