import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { StatusError, type Reason } from "@servable/errors";
import { seededRandom, tempDir } from "@servable/testing";
import type { InspectionRequest } from "../dataset-inspector.ts";
import type { ColumnKind } from "../records.ts";
import { csvRows } from "./csv-rows.ts";
import { csvSource } from "./csv-source.ts";
import { readIdx } from "./idx.ts";
import { inspectDataset } from "./inspect-dataset.ts";
import { jsonlSource } from "./jsonl-source.ts";
import { readNpy } from "./npy.ts";
import { openDataset } from "./open-dataset.ts";
import type { Cell, RowSource } from "./row-source.ts";

const limits = { datasetBytesMax: 1e9, rowsMax: 100, columnsMax: 4 };
const signal = new AbortController().signal;
const refused = (want: Reason, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want);
  assert.match(error.message, says);
  return true;
};

const directory = tempDir();
after(() => directory[Symbol.dispose]());
let files = 0;
const stored = (content: string | Uint8Array): string => {
  const path = join(directory.path, `data-${files++}`);
  writeFileSync(path, content);
  return path;
};

/** The rows of a file, its header, and what is bad about it. */
async function rowsOf(source: RowSource) {
  const [header, rows, lines, bad]: [string[], (readonly Cell[])[], number[], string[]] = [[], [], [], []];
  await source.read({
    columns: (names) => void header.splice(0, header.length, ...names),
    row: (cells, line) => {
      rows.push(cells);
      lines.push(line);
    },
    bad: (line, why) => void bad.push(`${line}: ${why}`),
  });
  return { header, rows, lines, bad };
}

describe("CSV", () => {
  const csv = (content: string | Uint8Array, options: { missingValues?: string[]; header?: string[] } = {}) => rowsOf(csvSource({ path: stored(content), missingValues: [], limits, ...options }));

  it("reads quotes, line breaks in cells and missing values", async () => {
    const { header, rows, lines } = await csv('a, b ,c\r\n1,"x, ""y""\r\nz",NA\n\n2,,3\n4, "5, 6" ,7', { missingValues: ["NA"] });

    assert.deepEqual(header, ["a", "b", "c"]);
    assert.deepEqual(rows, [["1", 'x, "y"\nz', undefined], ["2", undefined, "3"], ["4", "5, 6", "7"]]);
    assert.deepEqual(lines, [2, 5, 6]);
  });

  it("reads a byte order mark, other delimiters, and a file without a header line", async () => {
    assert.deepEqual((await csv("\ufeffa;b\n1,5;2\n")).rows, [["1,5", "2"]]);
    assert.deepEqual((await csv("a\tb\n1\t2\n")).rows, [["1", "2"]]);
    assert.deepEqual((await csv("1,2\n3,4", { header: ["x", "y"] })).rows, [["1", "2"], ["3", "4"]]);
  });

  it("reads the same rows wherever its pieces end", () => {
    const random = seededRandom();
    const text = 'a,b,c\r\n1,"x ""quoted""\n, ä",2\r\n"",é,"last"\n3, "4" ,日本\n';
    const whole: unknown[] = [];
    const split = (cuts: readonly number[], into: unknown[]): void => {
      const rows = csvRows({ row: (cells, line) => void into.push([line, ...cells]), bad: (line, why) => void into.push([line, why]) });
      [...cuts, text.length].reduce((from, to) => (rows.push(text.slice(from, to)), to), 0);
      rows.end();
    };
    split([], whole);
    for (let cut = 0; cut <= text.length; cut++) {
      const parts: unknown[] = [];
      split([cut, Math.min(text.length, cut + random.below(5))], parts);
      assert.deepEqual(parts, whole, `cut at ${cut} (seed ${random.seed})`);
    }
  });

  it("collects the rows that cannot be read, with line and column", async () => {
    const { rows, bad } = await csv('a,b\n1,2\n3\n"x\ny",2\n1,2,3\n"4"5,6\n7,8\n');

    assert.deepEqual(rows, [["1", "2"], ["x\ny", "2"], ["7", "8"]]);
    assert.deepEqual(bad, ["3: column 2: the row has 1 cells, the header 2", "6: column 3: the row has 3 cells, the header 2", "7: a quote is not closed, or text follows its end"]);
  });

  const bad = [
    { what: "a quote that is not closed", text: 'a,b\n1,"2\n3,4\n', says: /line 2: a quote is not closed/ },
    { what: "a name twice", text: "a,a\n1,2\n", says: /line 1: column 2: the header names "a" twice/ },
    { what: "an empty name", text: "a,\n1,2\n", says: /line 1: column 2/ },
    { what: "an empty file", text: "", says: /empty/ },
    { what: "bytes that are no UTF-8, with their line", text: Buffer.concat([Buffer.from("a,b\n1,2\n"), Buffer.from([0xff, 0x2c, 0x31])]), says: /line 3.*UTF-8/ },
    { what: "a character that is cut off at the end", text: Buffer.concat([Buffer.from("a,b\n1,2\n\n3,"), Buffer.from([0xe2, 0x82])]), says: /line 4.*UTF-8/ },
  ];
  for (const { what, text, says } of bad) it(`refuses ${what}`, () => assert.rejects(csv(text), refused("DATASET_MALFORMED", says)));

  it("refuses more rows or columns than allowed", async () => {
    await assert.rejects(csv("a\n" + "1\n".repeat(101)), refused("DATASET_TOO_LARGE", /more than 100 rows/));
    await assert.rejects(csv("a,b,c,d,e\n1,2,3,4,5\n"), refused("DATASET_TOO_LARGE", /5 columns/));
  });
});

describe("JSONL", () => {
  const jsonl = (text: string) => rowsOf(jsonlSource({ path: stored(text), missingValues: ["NA"], limits }));

  it("reads plain values, and fields that come late or not at all", async () => {
    const { header, rows } = await jsonl('{"a": 1.5, "b": "x"}\n\n{"b": null, "c": true}\n{"a": "NA", "c": false, "b": " y "}');

    assert.deepEqual(header, ["a", "b", "c"]);
    assert.deepEqual(rows, [[1.5, "x"], [undefined, undefined, true], [undefined, "y", false]]);
  });

  it("collects the lines that are no plain objects, with line and field", async () => {
    const { rows, bad } = await jsonl('{"a": 1}\n{"a": {"b": 1}}\n[1]\n{"a": [1]}\n{"a": 1\n');

    assert.equal(rows.length, 1);
    assert.match(bad.join("\n"), /2: field "a" holds an object.*\n3: the line holds no JSON object\n4: field "a" holds a list.*\n5: the line is no JSON/);
  });

  it("tells a list of records apart", () => assert.rejects(jsonl('[{"a": 1}]\n'), refused("DATASET_MALFORMED", /begins with a list/)));
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
  const request = (text: string, changes: Partial<InspectionRequest> = {}): InspectionRequest => ({ format: "csv", files: [{ role: "data", path: stored(text) }], columns: [], missingValues: [], header: [], skipBadRows: false, imageShape: [], limits, ...changes });

  it("tells numbers, categories, yes and no, moments, sentences and names apart, with their statistics", async () => {
    const rows = Array.from({ length: 60 }, (_, index) => `${index % 2 === 0 ? 1 : 3},${index % 3 === 0 ? "a" : "b"},person ${index},${index % 2 === 0 ? "yes" : "No"},2024-02-${String((index % 28) + 1).padStart(2, "0")}T12:00:00Z,it is row number ${index}`);
    const { columns, rowCount } = await inspectDataset(request(`size,kind,name,member,since,note\n${rows.join("\n")}\n,a,x,,,\n`, { limits: { ...limits, columnsMax: 6 } }), signal);

    assert.equal(rowCount, 61);
    assert.deepEqual(columns.map(({ name, kind, missingCount }) => [name, kind, missingCount]), [["size", "numeric", 1], ["kind", "categorical", 0], ["name", "ignored", 0], ["member", "boolean", 1], ["since", "datetime", 1], ["note", "text", 1]]);
    assert.deepEqual([columns[0]?.mean, columns[0]?.standardDeviation, columns[1]?.categories], [2, 1, ["b", "a"]]);
    assert.deepEqual(columns[1]?.statistics?.categoryCounts, [40, 21]);
    const { quantiles = [], histogramShares = [], min, max } = columns[0]?.statistics ?? {};
    assert.deepEqual([quantiles, min, max, histogramShares[0], histogramShares.at(-1)], [[1, 1, 2, 3, 3], 1, 3, 0.5, 0.5]);
    assert.deepEqual([columns[4]?.statistics?.min, columns[4]?.statistics?.max], [Date.UTC(2024, 1, 1, 12), Date.UTC(2024, 1, 28, 12)]);
  });

  it("keeps quantiles of many values to a percent", async () => {
    const random = seededRandom(5);
    const rows = Array.from({ length: 50_000 }, () => random.next());
    const { columns } = await inspectDataset(request(`x\n${rows.join("\n")}\n`, { limits: { ...limits, rowsMax: 1e6 } }), signal);

    [0.05, 0.25, 0.5, 0.75, 0.95].forEach((share, index) => assert.ok(Math.abs((columns[0]?.statistics?.quantiles[index] ?? 0) - share) < 0.01));
  });

  it("follows overrides, and says which cell contradicts them", async () => {
    const { columns } = await inspectDataset(request("code\n1\n2\n", { columns: [{ name: "code", kind: "categorical" }] }), signal);
    assert.deepEqual(columns[0]?.categories, ["1", "2"]);

    const stated = (kind: ColumnKind): Partial<InspectionRequest> => ({ columns: [{ name: "x", kind }] });
    await assert.rejects(inspectDataset(request('note,x\n"two\nlines",1\n\n,two\n', stated("numeric")), signal), refused("DATASET_MALFORMED", /line 5: column 2 \("x"\): "two" is no number/));
    await assert.rejects(inspectDataset(request("x\n1e999\n", stated("numeric")), signal), refused("DATASET_MALFORMED", /"1e999" is no number that f32 holds/));
    await assert.rejects(inspectDataset(request("x\n2024-02-30\n", stated("datetime")), signal), refused("DATASET_MALFORMED", /"2024-02-30" is no ISO 8601 date/));
    await assert.rejects(inspectDataset(request("x\nmaybe\n", stated("boolean")), signal), refused("DATASET_MALFORMED", /"maybe" is neither yes nor no/));
    await assert.rejects(inspectDataset(request("x\n1\n", { columns: [{ name: "y", kind: "numeric" }] }), signal), refused("FIELD_INVALID", /no column "y"/));
  });

  it("refuses bad rows by default and names the first with the count of all", async () => {
    await assert.rejects(inspectDataset(request(`a,b\n${"1\n".repeat(30)}1,2\n`), signal), refused("DATASET_MALFORMED", /line 2: column 2.*line 21: .*\(30 bad rows in all, the first 20 are named/));
  });

  it("leaves bad rows out where that is asked for, and lists each", async () => {
    const skipping = request("x,y\n1,a\noops,b\n2\n3,c\n", { skipBadRows: true, columns: [{ name: "x", kind: "numeric" }] });

    const { rowCount, skippedRows } = await inspectDataset(skipping, signal);

    assert.equal(rowCount, 2);
    assert.deepEqual(skippedRows.map(({ place }) => place), ["line 3", "line 4"]);
    // The trainer leaves out the same ones.
    using table = await openDataset({ ...skipping, columns: [{ name: "x", kind: "numeric" }, { name: "y", kind: "categorical" }] });
    assert.ok(table.kind === "table");
    assert.deepEqual([table.rowCount, table.placeOf(1), table.column("x")], [2, "line 5", { name: "x", kind: "numeric", values: Float32Array.of(1, 3) }]);
  });

  it("warns of columns that say nothing, and of numbers with exceptions", async () => {
    const rows = Array.from({ length: 100 }, (_, row) => `1,,${row === 50 ? "n/a" : row}`);
    const { warnings } = await inspectDataset(request(`one,none,nearly\n${rows.join("\n")}\n`), signal);

    assert.match(warnings.join("\n"), /"one" is "1" in all rows.*\n.*"none" has no value in any row.*\n.*"nearly" is numbers but for 1 of 100 cells, first line 52: "n\/a"/);
  });
});

describe("texts and conversations", () => {
  it("are lines that make the document again, and examples with their turns", async () => {
    using text = await openDataset({ format: "text", files: [{ role: "data", path: stored("Ein Ä.\r\n\nthird") }], columns: [], missingValues: [] });
    assert.ok(text.kind === "texts");
    assert.equal(Array.from({ length: text.rowCount }, (_, row) => text.text(row)).join("\n"), "Ein Ä.\n\nthird");

    using chat = await openDataset({ format: "chat", files: [{ role: "data", path: stored('{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}\n{"prompt":"a","completion":"b"}\n') }], columns: [], missingValues: [] });
    assert.ok(chat.kind === "chats");
    assert.deepEqual([chat.rowCount, chat.example(1)], [2, { prompt: "a", completion: "b" }]);
  });

  const bad = [
    { line: "nothing", says: /line 1: the line is no JSON/ },
    { line: '{"text":"x"}', says: /neither "messages" nor/ },
    { line: '{"prompt":"x","completion":""}', says: /"completion" is empty/ },
    { line: '{"messages":[]}', says: /at least one message/ },
    { line: '{"messages":[{"role":"boss","content":"x"}]}', says: /messages\[0\].role is ""boss""/ },
    { line: '{"messages":[{"role":"user","content":["x"]}]}', says: /messages\[0\].content must be a text/ },
    { line: '{"messages":[{"role":"user","content":"x"}]}', says: /no message of the assistant/ },
    { line: '{"messages":[{"role":"assistant","content":"x","weight":2}]}', says: /weight must be 0 or 1/ },
  ];
  for (const { line, says } of bad) {
    it(`are refused as ${line}`, () => assert.rejects(openDataset({ format: "chat", files: [{ role: "data", path: stored(line + "\n") }], columns: [], missingValues: [] }), refused("DATASET_MALFORMED", says)));
  }
});
