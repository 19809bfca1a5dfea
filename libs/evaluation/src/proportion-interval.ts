import { normalQuantile } from "./bootstrap.ts";
import type { Interval } from "./evaluation-report.ts";

/**
 * The interval of a share, e.g. an accuracy: right in small samples and at 0 and 1, where a bootstrap shows no width.
 *
 * Source: Wilson, JASA 22 (1927) 209; the form in Brown, Cai & DasGupta, Statistical Science 16 (2001), equation 4.
 */
export function proportionInterval(hits: number, count: number, level = 0.95): Interval | undefined {
  if (count === 0) return undefined;
  const z = normalQuantile((1 + level) / 2);
  const share = hits / count;
  const centre = (share + (z * z) / (2 * count)) / (1 + (z * z) / count);
  const half = (z / (1 + (z * z) / count)) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half), level };
}
