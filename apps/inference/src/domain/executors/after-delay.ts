/**
 * Calls back after that many microseconds; 0 = once the requests that have arrived by now are all in. The answer takes it back.
 *
 * Timers count whole milliseconds; shorter delays pass turn by turn of the event loop.
 */
export function afterDelay(delayUs: number, callback: () => void): () => void {
  if (delayUs >= 1_000) {
    const timer = setTimeout(callback, Math.ceil(delayUs / 1_000));
    return () => clearTimeout(timer);
  }
  const untilMs = performance.now() + delayUs / 1_000;
  let turn = setImmediate(function wait() {
    if (performance.now() >= untilMs) callback();
    else turn = setImmediate(wait);
  });
  return () => clearImmediate(turn);
}
