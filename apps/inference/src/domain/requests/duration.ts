/** A count with the time that went with it. */
export interface Duration {
  count: number;
  ns: number;
}

/** Nothing counted yet. */
export function noDuration(): Duration {
  return { count: 0, ns: 0 };
}

/** Counts one more. */
export function addDuration(target: Duration, ns: number): void {
  target.count++;
  target.ns += ns;
}

/** The protocol's StatisticDuration. */
export function wireDuration({ count, ns }: Duration): { count: bigint; ns: bigint } {
  return { count: BigInt(count), ns: BigInt(Math.round(ns)) };
}
