import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { Graph, buildModel } from "@servable/onnx";
import { seededRandom, type SeededRandom } from "@servable/testing";
import ort from "onnxruntime-node";
import { MISSING_MOMENT, fitTable, tableEncoder, tableGraph, type ColumnData, type TableOptions } from "../index.ts";

const CATEGORIES = ["Dream", "Biscoe", "ja", "nein, danke", "é", "日本", "a".repeat(300), "0", "True"];
const EXTREMES = [0, -0, 1e-45, -1e-38, 3.4e38, -3.4e38, 16_777_217, 0.1, -1];
const WORDS = ["please", "card", "Card", "naïve", "x,y", "42", "?"];

/** Columns of random cells: missing ones, extreme ones, and categories that the training rows do not have. */
function randomTable(random: SeededRandom, rowCount: number): ColumnData[] {
  const cells = <T>(make: (row: number) => T): T[] => Array.from({ length: rowCount }, (_, row) => make(row));
  const missing = (): boolean => random.chance(6);
  const text = (): string | undefined => (missing() ? undefined : cells(() => random.pick(WORDS)).slice(0, random.below(9)).join(random.pick([" ", "  ", "\n", " \t "])));
  const texts = cells(text);
  return [
    { name: "number", kind: "numeric", values: Float32Array.from(cells(() => (missing() ? NaN : random.chance(12) ? random.pick(EXTREMES) : (random.next() - 0.5) * 200))) },
    { name: "whole", kind: "numeric", values: Float32Array.from(cells(() => (missing() ? NaN : random.below(5)))) },
    { name: "category", kind: "categorical", categories: CATEGORIES, codes: Int32Array.from(cells(() => (missing() ? -1 : random.below(CATEGORIES.length)))) },
    { name: "yes or no", kind: "boolean", categories: ["True", "False"], codes: Int32Array.from(cells(() => (missing() ? -1 : random.below(2)))) },
    { name: "when", kind: "datetime", values: Float64Array.from(cells(() => (missing() ? NaN : Date.UTC(1900 + random.below(200), random.below(12), 1 + random.below(28), random.below(24), random.below(60))))) },
    { name: "words", kind: "text", text: (row) => texts[row] },
  ];
}

/** What a caller of the exported model sends for the same cells. */
function feedsOf(columns: readonly ColumnData[], rowCount: number, random: SeededRandom): Record<string, ort.Tensor> {
  const rows = Array.from({ length: rowCount }, (_, row) => row);
  const text = (cell: string | undefined): string => cell ?? random.pick(["", "NA"]);
  const tensorOf = (column: ColumnData): ort.Tensor => {
    switch (column.kind) {
      case "numeric":
        return new ort.Tensor("float32", column.values, [rowCount, 1]);
      case "datetime":
        return new ort.Tensor("int64", BigInt64Array.from(column.values, (value) => (Number.isNaN(value) ? MISSING_MOMENT : BigInt(value))), [rowCount, 1]);
      case "text":
        return new ort.Tensor("string", rows.map((row) => text(column.text(row))), [rowCount, 1]);
      default:
        return new ort.Tensor("string", rows.map((row) => text(column.categories[column.codes[row] as number])), [rowCount, 1]);
    }
  };
  return Object.fromEntries(columns.map((column) => [column.name, tensorOf(column)]));
}

const OPTIONS: readonly TableOptions[] = [
  {},
  { numeric: { impute: "median", scale: "robust", indicator: true }, categorical: { impute: "category" } },
  { numeric: { impute: -7.5, scale: "min_max" }, categorical: { encode: "ordinal", categoriesMax: 3 } },
  { numeric: { scale: "none", indicator: true }, categorical: { encode: "ordinal", impute: "category" }, text: { wordsMax: 2 } },
  { columns: { number: { scale: "min_max" }, category: { encode: "ordinal" } } },
];

describe("a table's features", () => {
  for (const [which, base] of OPTIONS.entries()) {
    it(`are in the exported graph what training sees (options ${which})`, async () => {
      const random = seededRandom();
      const rowCount = 200;
      const columns = randomTable(random, rowCount);
      // The other half holds categories, words and moments that were never learned.
      const training = Uint32Array.from({ length: 25 }, (_, row) => row);
      const fitted = fitTable(columns, training, { ...base, missingValues: ["NA"] });
      const graph = new Graph();
      const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { features: tableGraph(graph, fitted) } }), { intraOpNumThreads: 1 });

      const want = new Float32Array(rowCount * fitted.width);
      const encode = tableEncoder(fitted, columns);
      for (let row = 0; row < rowCount; row++) encode(row, want, row * fitted.width);
      const { features } = await session.run(feedsOf(columns.filter(({ name }) => fitted.features.some(({ column }) => column === name)), rowCount, random));

      const got = features?.data as Float32Array;
      assert.equal(got.length, want.length);
      for (let index = 0; index < want.length; index++) {
        const name = fitted.names[index % fitted.width] ?? "";
        // Sine and cosine of the two implementations may differ in the last place; all else is the same bits.
        const same = /sine\)/.test(name) ? Math.abs((got[index] as number) - (want[index] as number)) < 1e-6 : Object.is(got[index], want[index]) || got[index] === want[index];
        assert.ok(same, `${name}, row ${Math.floor(index / fitted.width)}: ${got[index]} in the graph, ${want[index]} in training (seed ${random.seed})`);
      }
    });
  }

  it("leave out columns that say nothing, with a warning", () => {
    const rows = Uint32Array.of(0, 1);
    const fitted = fitTable(
      [
        { name: "constant", kind: "numeric", values: Float32Array.of(2, 2, 3) },
        { name: "one", kind: "categorical", categories: ["a", "b"], codes: Int32Array.of(0, 0, 1) },
        { name: "late", kind: "numeric", values: Float32Array.of(NaN, NaN, 3) },
        { name: "good", kind: "numeric", values: Float32Array.of(1, 2, 3) },
      ],
      rows,
    );

    assert.deepEqual(fitted.names, ["good"]);
    assert.deepEqual(fitted.warnings, ['column "constant" is 2 in all training rows: it is left out', 'column "one" is "a" in all training rows: it is left out', 'column "late" has no value in the training rows: it is left out']);
  });

  it("refuse a column without any value, and a table that says nothing", () => {
    const refused = (words: RegExp) => (error: unknown): boolean => error instanceof StatusError && error.reason === "COLUMN_UNSUITABLE" && words.test(error.message);

    assert.throws(() => fitTable([{ name: "empty", kind: "numeric", values: Float32Array.of(NaN, NaN) }], Uint32Array.of(0)), refused(/"empty" has no value in any row/));
    assert.throws(() => fitTable([{ name: "x", kind: "numeric", values: Float32Array.of(1, 1) }], Uint32Array.of(0, 1)), refused(/no column says anything/));
  });
});
