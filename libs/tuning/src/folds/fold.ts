import { StatusError } from "@servable/errors";

/** Rows to learn from and rows to judge by, both ascending, by their numbers from 0. */
export interface Fold {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

/** Folds of one cross-validation: each is a training of its own. */
export const FOLDS_MAX = 100;

/** Folds of an assignment: row → number of the fold that validates on it. */
export function foldsOf(assignment: ArrayLike<number>, folds: number): Fold[] {
  const rows = Uint32Array.from({ length: assignment.length }, (_, row) => row);
  return Array.from({ length: folds }, (_, fold) => ({
    training: rows.filter((row) => assignment[row] !== fold),
    validation: rows.filter((row) => assignment[row] === fold),
  }));
}

/** @throws StatusError `FIELD_INVALID` when there are fewer than two folds, too many, or fewer things than folds */
export function checkFolds(folds: number, count: number, things: string): void {
  const problem =
    !Number.isInteger(folds) || folds < 2 || folds > FOLDS_MAX
      ? `folds is ${folds}, it must be a whole number from 2 to ${FOLDS_MAX}`
      : count < folds
        ? `${folds} folds need at least ${folds} ${things}, there ${count === 1 ? "is" : "are"} ${count}: ask for fewer folds`
        : undefined;
  if (problem !== undefined) throw new StatusError("FIELD_INVALID", problem, { metadata: { field: "folds" } });
}
