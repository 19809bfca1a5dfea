import { StatusError } from "@servable/errors";
import { randomStream } from "@servable/nn";
import { checkFolds, foldsOf, type Fold } from "./fold.ts";
import type { KFoldOptions } from "./k-fold.ts";

/**
 * Deals the rows of each class evenly, so that every fold has the classes' shares to a row.
 *
 * Without a seed as scikit-learn's StratifiedKFold.
 *
 * @param classes each row's class as a number
 * @throws StatusError `FIELD_INVALID` also when no class has as many rows as there are folds
 */
export function stratifiedKFold(classes: ArrayLike<number>, { folds, seed }: KFoldOptions): Fold[] {
  const count = classes.length;
  checkFolds(folds, count, "rows");
  const rowsOf = new Map<number, number[]>();
  for (let row = 0; row < count; row++) {
    const label = classes[row] as number;
    const rows = rowsOf.get(label) ?? [];
    if (rows.length === 0) rowsOf.set(label, rows);
    rows.push(row);
  }
  const largest = [...rowsOf.values()].reduce((most, { length }) => Math.max(most, length), 0);
  if (largest < folds) {
    throw new StatusError("FIELD_INVALID", `the largest class has ${largest} rows, which ${folds} stratified folds cannot share: ask for fewer folds, or for plain ones`, { metadata: { field: "folds" } });
  }
  const assignment = new Uint32Array(count);
  let place = 0;
  for (const [label, rows] of rowsOf) {
    // Counting on through the classes, fold after fold, keeps the folds' sizes equal too.
    const places = Array.from(rows, () => place++ % folds).sort((a, b) => a - b);
    const order = seed === undefined ? undefined : randomStream(seed, `folds/${label}`).permutation(rows.length);
    rows.forEach((row, index) => (assignment[row] = places[order?.[index] ?? index] as number));
  }
  return foldsOf(assignment, folds);
}
