import { checkFolds, foldsOf, type Fold } from "./fold.ts";

/**
 * Deals whole groups, e.g. the rows of one patient, the largest first to the fold that has fewest rows: no group is on
 * both sides, and the folds are about equally large.
 *
 * As scikit-learn's GroupKFold.
 *
 * @param groups each row's group as a number
 * @throws StatusError `FIELD_INVALID` also when there are fewer groups than folds
 */
export function groupKFold(groups: ArrayLike<number>, { folds }: { readonly folds: number }): Fold[] {
  const sizes = new Map<number, number>();
  for (let row = 0; row < groups.length; row++) sizes.set(groups[row] as number, (sizes.get(groups[row] as number) ?? 0) + 1);
  checkFolds(folds, sizes.size, "groups");
  const largestFirst = [...sizes].sort(([a, sizeA], [b, sizeB]) => sizeB - sizeA || b - a);
  const filled = new Array<number>(folds).fill(0);
  const foldOf = new Map<number, number>();
  for (const [group, size] of largestFirst) {
    const lightest = filled.indexOf(Math.min(...filled));
    filled[lightest] = (filled[lightest] as number) + size;
    foldOf.set(group, lightest);
  }
  return foldsOf(Uint32Array.from({ length: groups.length }, (_, row) => foldOf.get(groups[row] as number) as number), folds);
}
