import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Column_Kind, DatasetSchema, Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { formatOf } from "./dataset-format.ts";
import { bars, renderDataset } from "./render/dataset.ts";

describe("the format of a file", () => {
  const directory = tempDir();
  after(() => directory[Symbol.dispose]());
  const cases = [
    { name: "a.csv", head: "a,b\n1,2\n", want: Dataset_Format.CSV },
    { name: "a.tsv", head: "a\tb\n", want: Dataset_Format.CSV },
    { name: "a", head: "PAR1\x15\x04", want: Dataset_Format.PARQUET },
    { name: "a.bin", head: '{"age": 3}\n', want: Dataset_Format.JSONL },
    { name: "a.jsonl", head: '\ufeff{"messages": [{"role": "user"', want: Dataset_Format.CHAT },
    { name: "b.jsonl", head: '{"prompt": "a", "completion": "b"}\n{"age": 3}', want: Dataset_Format.CHAT },
    { name: "a.npz", head: "PK\x03\x04", want: Dataset_Format.NPZ },
    { name: "b", head: `PK\x03\x04${"\0".repeat(26)}images.npy`, want: Dataset_Format.NPZ },
    { name: "a.zip", head: `PK\x03\x04${"\0".repeat(26)}cat/1.jpg`, want: Dataset_Format.IMAGE_ZIP },
    { name: "a.txt", head: "{ to be or not", want: Dataset_Format.TEXT },
  ];
  for (const { name, head, want } of cases) {
    it(`is ${Dataset_Format[want]} for ${name} that begins with ${JSON.stringify(head.slice(0, 12))}`, async () => {
      const path = join(directory.path, name);
      writeFileSync(path, head);

      assert.equal(Dataset_Format[await formatOf(path)], Dataset_Format[want]);
    });
  }

  it("is asked for where neither the name nor the beginning says it", async () => {
    const path = join(directory.path, "odd.json");
    writeFileSync(path, '[{"a": 1}]');
    const refused = (words: RegExp) => (error: unknown): boolean => error instanceof StatusError && error.reason === "FIELD_INVALID" && words.test(error.message);

    await assert.rejects(formatOf(path), refused(/one object a line/));
    await assert.rejects(formatOf(join(directory.path, "none.csv")), refused(/cannot be read/));
  });
});

describe("a data set on the terminal", () => {
  it("shows columns with their plots, warnings and what was left out", () => {
    const text = renderDataset(
      create(DatasetSchema, {
        name: "projects/p/datasets/people",
        version: 2n,
        format: Dataset_Format.CSV,
        rowCount: 4n,
        columns: [
          { name: "age", kind: Column_Kind.NUMERIC, mean: 3, standardDeviation: 1, statistics: { presentCount: 4n, min: 1, max: 4, histogramShares: [0.5, 0, 0.25] } },
          { name: "town", kind: Column_Kind.CATEGORICAL, missingCount: 1n, categories: ["a", "b"], statistics: { presentCount: 3n, categoryCounts: [2n, 1n] } },
        ],
        warnings: ["odd"],
        skippedRows: [{ place: "line 7", reason: "too short" }],
      }),
    );

    assert.match(text, /people version 2: 4 rows/);
    assert.match(text, /age +numeric +0 +3 ± 1, 1 to 4 +█ ▅/);
    assert.match(text, /town +categorical +1 +a 67 %, b 33 % +█▅/);
    assert.match(text, /! odd\n\n1 rows were left out:\n {2}line 7: too short/);
  });

  it("draws nothing for nothing", () => assert.equal(bars([0, 0]), ""));
});
