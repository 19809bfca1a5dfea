import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ColumnData } from "@servable/preprocessing";
import type { OpenedDataset } from "../domain/dataset-reader/dataset-table.ts";
import type { CrossValidationRecord } from "../domain/training-spec-record.ts";
import { foldRows } from "./fold-rows.ts";

const ROWS = 24;
const columns: ColumnData[] = [
  { name: "class", kind: "categorical", codes: Int32Array.from({ length: ROWS }, (_, row) => (row < 18 ? 0 : 1)), categories: ["no", "yes"] },
  { name: "patient", kind: "text", text: (row) => (row === 5 ? undefined : `p${row % 6}`) },
  { name: "day", kind: "numeric", values: Float32Array.from({ length: ROWS }, (_, row) => ROWS - row) },
  { name: "holed", kind: "datetime", values: Float64Array.from({ length: ROWS }, (_, row) => (row === 3 ? NaN : row)) },
];
const table: OpenedDataset = {
  kind: "table",
  rowCount: ROWS,
  columns,
  column: (name) => columns.find((column) => column.name === name) ?? assert.fail(name),
  placeOf: (row) => `row ${row + 1}`,
  [Symbol.dispose]: () => undefined,
};
const rowsOf = (changes: Partial<CrossValidationRecord>, targetColumn = "class", index = 1) =>
  foldRows(table, { targetColumn, positiveClass: "" }, { crossValidation: { kind: undefined, foldCount: 3, repeatCount: 1, column: "", gap: 0, ...changes }, index, seed: 4 });

describe("the rows of a fold", () => {
  it("have the classes' shares where classes are predicted, unless told otherwise", () => {
    assert.equal([...rowsOf({}).validation].filter((row) => row >= 18).length, 2);
    assert.equal(rowsOf({}, "day").validation.length, 8);
  });

  it("never divide a group, and a row without one is alone", () => {
    const { training, validation } = rowsOf({ kind: "group", column: "patient" });

    assert.ok([...validation].every((row) => row === 5 || ![...training].some((other) => other !== 5 && other % 6 === row % 6)));
  });

  it("follow the column of times", () => {
    const { training, validation } = rowsOf({ kind: "time_series", column: "day", gap: 2 });

    // Days run backwards: the newest rows come first.
    assert.equal(Math.min(...training) - Math.max(...validation), 3);
  });

  it("leave the test rows of a stored split aside, in every fold", () => {
    const parts = Uint8Array.from({ length: ROWS }, (_, row) => (row % 4 === 0 ? 2 : row % 4 === 1 ? 3 : row % 2));
    const folds = [0, 1, 2].map((index) => foldRows(table, { targetColumn: "class", positiveClass: "" }, { crossValidation: { kind: undefined, foldCount: 3, repeatCount: 1, column: "", gap: 0 }, index, seed: 4 }, parts));

    assert.deepEqual(folds.flatMap(({ validation }) => [...validation]).sort((a, b) => a - b), Array.from({ length: ROWS }, (_, row) => row).filter((row) => row % 4 > 1));
    for (const { training, validation, test } of folds) {
      assert.equal(training.length + validation.length, 12);
      assert.deepEqual([...test], [0, 4, 8, 12, 16, 20]);
    }
  });

  it("are other ones in the next repetition", () => {
    assert.notDeepEqual(rowsOf({ repeatCount: 2 }, "class", 1), rowsOf({ repeatCount: 2 }, "class", 4));
  });

  for (const [why, make, words] of [
    ["classes of a number", () => rowsOf({ kind: "stratified" }, "day"), /STRATIFIED needs classes/],
    ["times that are words", () => rowsOf({ kind: "time_series", column: "class" }), /"class" is categorical: TIME_SERIES needs numbers/],
    ["a row without a time", () => rowsOf({ kind: "time_series", column: "holed" }), /"holed" has no value in row 4/],
  ] as const) {
    it(`are refused for ${why}`, () => assert.throws(make, { reason: "FIELD_INVALID", message: words }));
  }
});
