import { randomStream } from "@servable/nn";
import { checkFolds, foldsOf, type Fold } from "./fold.ts";

/** How rows are dealt to folds. */
export interface KFoldOptions {
  readonly folds: number;
  /** Shuffles; absent = in the order of the rows. */
  readonly seed?: number | undefined;
}

/**
 * Deals rows to folds of equal size (the first ones a row larger); each row validates once.
 *
 * Without a seed as scikit-learn's KFold.
 *
 * @throws StatusError `FIELD_INVALID`
 */
export function kFold(count: number, { folds, seed }: KFoldOptions): Fold[] {
  checkFolds(folds, count, "rows");
  const order = seed === undefined ? Uint32Array.from({ length: count }, (_, row) => row) : randomStream(seed, "folds").permutation(count);
  const assignment = new Uint32Array(count);
  order.forEach((row, place) => (assignment[row] = foldAt(place, count, folds)));
  return foldsOf(assignment, folds);
}

/**
 * {@link kFold} several times with other shuffles: `repeats` × `folds` folds, whose mean varies less.
 *
 * @throws StatusError `FIELD_INVALID`
 */
export function repeatedKFold(count: number, { folds, seed = 0, repeats }: KFoldOptions & { readonly repeats: number }): Fold[] {
  return Array.from({ length: repeats }, (_, repeat) => kFold(count, { folds, seed: seed + repeat })).flat();
}

function foldAt(place: number, count: number, folds: number): number {
  const size = Math.floor(count / folds);
  const larger = count % folds;
  const inLarger = larger * (size + 1);
  return place < inLarger ? Math.floor(place / (size + 1)) : larger + Math.floor((place - inLarger) / size);
}
