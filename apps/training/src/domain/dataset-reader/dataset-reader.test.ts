import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { StatusError, type Reason } from "@servable/errors";
import { tempDir } from "@servable/testing";
import type { InspectionRequest } from "../dataset-inspector.ts";
import { readCsv } from "./csv.ts";
import { readIdx } from "./idx.ts";
import { inspectDataset } from "./inspect-dataset.ts";
import { readNpy } from "./npy.ts";

const limits = { datasetBytesMax: 1e9, rowsMax: 100, columnsMax: 4 };
const signal = new AbortController().signal;
const refused = (want: Reason, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want);
  assert.match(error.message, says);
  return true;
};

describe("CSV", () => {
  it("reads quotes, line breaks in cells and missing values", () => {
    const { header, rows } = readCsv(Buffer.from('a, b ,c\r\n1,"x, ""y""\nz",NA\n2,,3\n'), ["NA"], limits);

    assert.deepEqual(header, ["a", "b", "c"]);
    assert.deepEqual(rows, [["1", 'x, "y"\nz', undefined], ["2", undefined, "3"]]);
  });

  const bad = [
    { what: "a row with too few cells", text: "a,b\n1,2\n3\n", says: /line 3, column 2: the row has 1 cells, the header 2/ },
    { what: "a row with too many cells, after a line break in a cell", text: 'a,b\n"x\ny",2\n1,2,3\n', says: /line 4, column 3/ },
    { what: "a quote that is not closed", text: 'a,b\n1,"2\n3,4\n', says: /line 2: a quote is not closed/ },
    { what: "a name twice", text: "a,a\n1,2\n", says: /line 1, column 2: the header names "a" twice/ },
    { what: "an empty name", text: "a,\n1,2\n", says: /line 1, column 2/ },
    { what: "an empty file", text: "", says: /empty/ },
    { what: "a header alone", text: "a,b\n", says: /no rows/ },
  ];
  for (const { what, text, says } of bad) it(`refuses ${what}`, () => assert.throws(() => readCsv(Buffer.from(text), [], limits), refused("DATASET_MALFORMED", says)));

  it("refuses bytes that are no UTF-8, with their line", () => {
    assert.throws(() => readCsv(Buffer.concat([Buffer.from("a,b\n1,2\n"), Buffer.from([0xff, 0x2c, 0x31])]), [], limits), refused("DATASET_MALFORMED", /line 3.*UTF-8/));
  });

  it("refuses more rows or columns than allowed", () => {
    assert.throws(() => readCsv(Buffer.from("a\n" + "1\n".repeat(101)), [], limits), refused("DATASET_TOO_LARGE", /more than 100 rows/));
    assert.throws(() => readCsv(Buffer.from("a,b,c,d,e\n1,2,3,4,5\n"), [], limits), refused("DATASET_TOO_LARGE", /5 columns/));
  });
});

describe("IDX and NPY", () => {
  const idx = Buffer.from([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]);
  const npy = (header: string, body: Buffer) => Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.from([header.length, 0]), Buffer.from(header), body]);

  it("read shapes and elements, gzip too", () => {
    for (const bytes of [idx, gzipSync(idx)]) assert.deepEqual({ ...readIdx("images", bytes), data: [...readIdx("images", bytes).data] }, { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] });
    const array = readNpy("images", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", Buffer.from(Float32Array.of(0.5, 2).buffer)));
    assert.deepEqual([array.shape, Array.from(array.data)], [[2], [0.5, 2]]);
  });

  const bad = [
    { what: "text as IDX", run: () => readIdx("images", Buffer.from("hello")), says: /does not begin like an IDX file/ },
    { what: "an IDX file of floats", run: () => readIdx("images", Buffer.from([0, 0, 13, 1, 0, 0, 0, 0])), says: /0xd is not read/ },
    { what: "an IDX file that is cut off", run: () => readIdx("labels", idx.subarray(0, 15)), says: /labels: the header states 6 elements/ },
    { what: "broken gzip", run: () => readIdx("labels", gzipSync(idx).subarray(0, 20)), says: /gzip/ },
    { what: "Fortran order", run: () => readNpy("images", npy("{'descr': '|u1', 'fortran_order': True, 'shape': (1,), }", Buffer.from([1]))), says: /Fortran/ },
    { what: "complex numbers", run: () => readNpy("images", npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", Buffer.alloc(8))), says: /"<c8" are not read/ },
    { what: "an array that is cut off", run: () => readNpy("images", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", Buffer.from([1]))), says: /takes 3 bytes, 1 follow/ },
  ];
  for (const { what, run, says } of bad) it(`refuse ${what}`, () => assert.throws(run, refused("DATASET_MALFORMED", says)));
});

describe("inspection", () => {
  const directory = tempDir();
  after(() => directory[Symbol.dispose]());
  const request = (text: string, columns: InspectionRequest["columns"] = []): InspectionRequest => {
    const path = join(directory.path, "data.csv");
    writeFileSync(path, text);
    return { format: "csv", files: [{ role: "data", path }], columns, missingValues: [], limits };
  };

  it("tells numbers, categories and names apart, with their statistics", async () => {
    const rows = Array.from({ length: 60 }, (_, index) => `${index % 2 === 0 ? 1 : 3},${index % 3 === 0 ? "a" : "b"},person ${index}`);
    const { columns, rowCount } = await inspectDataset(request(`size,kind,name\n${rows.join("\n")}\n,a,x\n`), signal);

    assert.equal(rowCount, 61);
    assert.deepEqual(columns.map(({ name, kind, missingCount }) => [name, kind, missingCount]), [["size", "numeric", 1], ["kind", "categorical", 0], ["name", "ignored", 0]]);
    assert.deepEqual([columns[0]?.mean, columns[0]?.standardDeviation, columns[1]?.categories], [2, 1, ["b", "a"]]);
  });

  it("follows overrides, and says which cell contradicts them", async () => {
    const { columns } = await inspectDataset(request("code\n1\n2\n", [{ name: "code", kind: "categorical" }]), signal);
    assert.deepEqual(columns[0]?.categories, ["1", "2"]);

    await assert.rejects(inspectDataset(request('note,x\n"two\nlines",1\n\n,two\n', [{ name: "x", kind: "numeric" }]), signal), refused("DATASET_MALFORMED", /line 5, column 2: "two" is no number/));
    await assert.rejects(inspectDataset(request("x\n1e999\n", [{ name: "x", kind: "numeric" }]), signal), refused("DATASET_MALFORMED", /"1e999" is no number that f32 holds/));
    await assert.rejects(inspectDataset(request("x\n1\n", [{ name: "y", kind: "numeric" }]), signal), refused("FIELD_INVALID", /no column "y"/));
  });
});
