// Which rows are for training, validation and test. Pure functions: the same rows and the same seed give the same bytes on
// every machine, so that a split can be stored by its digest and made again to check it.

import { StatusError } from "@servable/errors";
import { permutation } from "./permutation.ts";

/** What a row is for, as one byte. */
export const PART = { training: 0, validation: 1, test: 2, none: 3 } as const;

/** How much goes where; the rest is for training. */
export interface SplitShares {
  /** 0 to 0.9 */
  readonly validationFraction: number;
  /** 0 to 0.9 */
  readonly testFraction: number;
}

/** One byte a row out of {@link PART}. */
export type SplitAssignment = Uint8Array;

/** Rows by part, ascending. */
export interface RowsOfSplit {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
  readonly test: Uint32Array;
}

/** Divides rows by a permutation of the seed. @throws StatusError `FIELD_INVALID`, `SPLIT_IMPOSSIBLE` */
export function randomSplit(rowCount: number, shares: SplitShares, seed: number): SplitAssignment {
  return stratifiedSplit(new Int32Array(rowCount), shares, seed);
}

/**
 * Divides the rows of each class by a permutation of the seed, so that all parts have the shares of the whole. A class keeps
 * a row for training whatever happens; what rounding leaves of one class is made up by the next. -1 (missing) is a class too.
 *
 * @throws StatusError `FIELD_INVALID`, `SPLIT_IMPOSSIBLE`
 */
export function stratifiedSplit(classes: Int32Array, shares: SplitShares, seed: number): SplitAssignment {
  checkShares(shares);
  const assignment = new Uint8Array(classes.length);
  const order = permutation(classes.length, seed);
  const rowsOf = new Map<number, number[]>();
  for (const row of order) {
    const rows = rowsOf.get(classes[row] as number);
    if (rows === undefined) rowsOf.set(classes[row] as number, [row]);
    else rows.push(row);
  }
  let [testOwed, validationOwed] = [0, 0];
  for (const [, rows] of [...rowsOf].sort(([a], [b]) => a - b)) {
    testOwed += rows.length * shares.testFraction;
    const test = clamp(Math.round(testOwed), rows.length - 1);
    testOwed -= test;
    validationOwed += rows.length * shares.validationFraction;
    const validation = clamp(Math.round(validationOwed), rows.length - 1 - test);
    validationOwed -= validation;
    rows.forEach((row, index) => (assignment[row] = index < test ? PART.test : index < test + validation ? PART.validation : PART.training));
  }
  return checkParts(assignment, shares, "upload more rows, or choose other shares");
}

/**
 * Divides groups: rows of one group stay together, so that nothing of a person, patient or session that is validated on was
 * trained on. A row without a group (-1) is one of its own.
 *
 * @throws StatusError `FIELD_INVALID`, `SPLIT_IMPOSSIBLE` when there are fewer groups than parts
 */
export function groupSplit(groups: Int32Array, shares: SplitShares, seed: number): SplitAssignment {
  checkShares(shares);
  const sizes = new Map<number, number>();
  const keyOf = (row: number): number => ((groups[row] as number) >= 0 ? (groups[row] as number) : -1 - row);
  for (let row = 0; row < groups.length; row++) sizes.set(keyOf(row), (sizes.get(keyOf(row)) ?? 0) + 1);
  const keys = [...sizes.keys()];
  const parts = new Map<number, number>();
  const open = { [PART.test]: groups.length * shares.testFraction, [PART.validation]: groups.length * shares.validationFraction };
  let left = groups.length;
  for (const index of permutation(keys.length, seed)) {
    const key = keys[index] as number;
    const size = sizes.get(key) as number;
    // A group goes where it brings a part nearer to its share; one that is too large for both is for training.
    const part = size < left && nearer(open[PART.test], size) ? PART.test : size < left && nearer(open[PART.validation], size) ? PART.validation : PART.training;
    if (part !== PART.training) {
      open[part] -= size;
      left -= size;
    }
    parts.set(key, part);
  }
  const assignment = Uint8Array.from(groups, (_, row) => parts.get(keyOf(row)) ?? PART.training);
  return checkParts(assignment, shares, `there are ${keys.length} groups: choose a column with more, or other shares`);
}

/**
 * Divides rows by time: the newest for test, those before for validation. Rows of the same moment stay together, on the newer
 * side. NaN = a row without a time.
 *
 * @param placeOf names a row in messages
 * @throws StatusError `FIELD_INVALID`, `SPLIT_IMPOSSIBLE` when a row has no time or there are too few moments
 */
export function timeSplit(times: Float64Array, shares: SplitShares, placeOf: (row: number) => string = (row) => `row ${row + 1}`): SplitAssignment {
  checkShares(shares);
  const without = times.findIndex((time) => Number.isNaN(time));
  if (without >= 0) throw impossible(`${placeOf(without)} has no time: fill it in, or split by another column`);
  const order = Uint32Array.from(times, (_, row) => row).sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
  const count = times.length;
  // From a place among the ordered rows back to the first row of its moment; where that takes everything, on to the next.
  const boundary = (place: number): number => {
    if (place >= count) return count;
    const time = times[order[place] as number] as number;
    let start = place;
    while (start > 0 && times[order[start - 1] as number] === time) start--;
    if (start > 0) return start;
    let end = place;
    while (end < count && times[order[end] as number] === time) end++;
    return end;
  };
  const testFrom = shares.testFraction === 0 ? count : boundary(count - Math.max(1, Math.round(count * shares.testFraction)));
  const validationFrom = shares.validationFraction === 0 ? testFrom : boundary(Math.max(0, testFrom - Math.max(1, Math.round(count * shares.validationFraction))));
  const assignment = new Uint8Array(count);
  order.forEach((row, place) => (assignment[row] = place >= testFrom ? PART.test : place >= validationFrom ? PART.validation : PART.training));
  return checkParts(assignment, shares, "there are too few moments: choose another column, or other shares");
}

const PART_WORDS: Readonly<Record<string, number>> = {
  train: PART.training,
  training: PART.training,
  validation: PART.validation,
  valid: PART.validation,
  val: PART.validation,
  dev: PART.validation,
  eval: PART.validation,
  test: PART.test,
  testing: PART.test,
};

/**
 * Takes the parts that a column names, in any case; a row without one is in no part.
 *
 * @throws StatusError `SPLIT_IMPOSSIBLE` naming a word that is no part, or when nothing is for training
 */
export function givenSplit(codes: Int32Array, words: readonly string[]): SplitAssignment {
  const parts = words.map((word) => PART_WORDS[word.trim().toLowerCase()]);
  const unknown = words.find((_, index) => parts[index] === undefined);
  if (unknown !== undefined) throw impossible(`the column says "${unknown.slice(0, 40)}": it must say train, validation or test`);
  return checkParts(Uint8Array.from(codes, (code) => (code < 0 ? PART.none : (parts[code] ?? PART.none))), { validationFraction: 0, testFraction: 0 }, "mark rows with train");
}

/** The rows of each part. */
export function rowsOfSplit(assignment: SplitAssignment): RowsOfSplit {
  const rows = (part: number): Uint32Array => {
    const found = new Uint32Array(countOf(assignment, part));
    let at = 0;
    for (let row = 0; row < assignment.length; row++) if (assignment[row] === part) found[at++] = row;
    return found;
  };
  return { training: rows(PART.training), validation: rows(PART.validation), test: rows(PART.test) };
}

function checkShares({ validationFraction, testFraction }: SplitShares): void {
  for (const [field, value] of [["validation_fraction", validationFraction], ["test_fraction", testFraction]] as const) {
    if (!(value >= 0 && value <= 0.9)) throw new StatusError("FIELD_INVALID", `${field} is ${value}, it must be from 0 to 0.9`, { metadata: { field } });
  }
  if (validationFraction + testFraction > 0.95) throw new StatusError("FIELD_INVALID", `validation_fraction and test_fraction leave ${(100 * (1 - validationFraction - testFraction)).toFixed(0)} % for training: choose smaller ones`, { metadata: { field: "validation_fraction" } });
}

/** A part that was asked for must have rows. */
function checkParts(assignment: SplitAssignment, { validationFraction, testFraction }: SplitShares, advice: string): SplitAssignment {
  const empty = [
    ["training", PART.training, 1],
    ["validation", PART.validation, validationFraction],
    ["test", PART.test, testFraction],
  ].find(([, part, share]) => (share as number) > 0 && countOf(assignment, part as number) === 0);
  if (empty !== undefined) throw impossible(`of ${assignment.length} rows none would be for ${empty[0]}: ${advice}`);
  return assignment;
}

function countOf(assignment: SplitAssignment, part: number): number {
  let count = 0;
  for (const each of assignment) if (each === part) count++;
  return count;
}

function clamp(value: number, max: number): number {
  return Math.max(0, Math.min(value, max));
}

/** Whether taking `size` brings what is open nearer to nothing. */
function nearer(open: number, size: number): boolean {
  return open > 0 && Math.abs(open - size) < open;
}

function impossible(what: string): StatusError {
  return new StatusError("SPLIT_IMPOSSIBLE", what, { metadata: { field: "split" } });
}
