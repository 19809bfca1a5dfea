import { StatusError } from "@servable/errors";
import { checkFolds, type Fold } from "./fold.ts";

/** How a series is cut. */
export interface TimeSeriesOptions {
  readonly folds: number;
  /** Rows left out between training and validation, e.g. as many as a label looks ahead. @default 0 */
  readonly gap?: number;
}

/**
 * Trains on the past and validates on what follows, a longer past each time; the future is never learned from.
 *
 * As scikit-learn's TimeSeriesSplit. The first rows never validate.
 *
 * @param times each row's time, in any unit; rows need not be in order. A number = so many rows in order.
 * @throws StatusError `FIELD_INVALID` also when the gap leaves nothing to learn from
 */
export function timeSeriesFolds(times: ArrayLike<number> | number, { folds, gap = 0 }: TimeSeriesOptions): Fold[] {
  const count = typeof times === "number" ? times : times.length;
  const size = Math.floor(count / (folds + 1));
  checkFolds(folds, count - 1, "rows after the first");
  if (count - folds * size - gap < 1) {
    throw new StatusError("FIELD_INVALID", `a gap of ${gap} leaves nothing to learn from before the first of ${folds} folds over ${count} rows: make it smaller`, { metadata: { field: "gap" } });
  }
  const order = Uint32Array.from({ length: count }, (_, row) => row);
  if (typeof times !== "number") order.sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
  return Array.from({ length: folds }, (_, fold) => {
    const begin = count - (folds - fold) * size;
    return { training: order.slice(0, begin - gap).sort(), validation: order.slice(begin, begin + size).sort() };
  });
}
