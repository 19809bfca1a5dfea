import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { seededRandom, sharedAsset, skipWithout, tempDir } from "@servable/testing";
import type { SchemaElement } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { Inspection, InspectionRequest } from "../src/domain/dataset-inspector.ts";
import { inspectDataset } from "../src/domain/dataset-reader/inspect-dataset.ts";
import { openDataset } from "../src/domain/dataset-reader/open-dataset.ts";
import { splitDataset } from "../src/domain/dataset-reader/split-dataset.ts";
import { childProcessInspector } from "../src/executor/child-process-inspector.ts";
import { bitmap, npy, zip } from "./support/archives.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
let files = 0;
const stored = (content: string | Uint8Array): string => {
  const path = join(directory.path, `file-${files++}`);
  writeFileSync(path, content);
  return path;
};
/** Damaged files of one run; more are tried by hand. */
const FUZZ_ROUNDS = Number(process.env["SERVABLE_FUZZ_ROUNDS"] ?? 2);
const { signal } = new AbortController();
const limits = { datasetBytesMax: 1e9, rowsMax: 100_000, columnsMax: 100 };
const request = (format: InspectionRequest["format"], content: string | Uint8Array, changes: Partial<InspectionRequest> = {}): InspectionRequest => ({ format, files: [{ role: "data", path: stored(content) }], columns: [], missingValues: [], header: [], skipBadRows: false, imageShape: [], limits, ...changes });
const opened = async (asked: InspectionRequest, { columns, imageShape }: Inspection, cacheDir?: string) => openDataset({ ...asked, columns, imageShape }, { cacheDir });
const refused = (reason: Reason, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, says);
  return true;
};

/** A column of lists. */
const LIST: SchemaElement[] = [
  { name: "root", num_children: 1 },
  { name: "list", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
  { name: "list", repetition_type: "REPEATED", num_children: 1 },
  { name: "element", repetition_type: "OPTIONAL", type: "INT32" },
];

describe("Parquet", () => {
  const columns = (rowCount: number) => {
    const make = <T>(value: (row: number) => T): T[] => Array.from({ length: rowCount }, (_, row) => value(row));
    return [
      { name: "number", data: make((row) => (row % 5 === 0 ? NaN : row / 2)), type: "DOUBLE" as const },
      { name: "whole", data: make((row) => BigInt(row)), type: "INT64" as const },
      { name: "color", data: make((row) => (row % 7 === 0 ? null : row % 2 === 0 ? "red" : "blue")), type: "STRING" as const },
      { name: "yes", data: make((row) => row % 3 === 0), type: "BOOLEAN" as const },
      { name: "when", data: make((row) => new Date(Date.UTC(2024, 0, 1 + (row % 300)))), type: "TIMESTAMP" as const },
    ];
  };

  for (const codec of ["UNCOMPRESSED", "SNAPPY"] as const) {
    it(`gives columns of all kinds, over several row groups (${codec.toLowerCase()})`, async () => {
      const asked = request("parquet", new Uint8Array(parquetWriteBuffer({ columnData: columns(1_000), codec, rowGroupSize: 300 })));

      const inspection = await inspectDataset(asked, signal);
      using table = await opened(asked, inspection);

      assert.deepEqual(inspection.columns.map(({ name, kind, missingCount }) => [name, kind, missingCount]), [["number", "numeric", 200], ["whole", "numeric", 0], ["color", "categorical", 143], ["yes", "boolean", 0], ["when", "datetime", 0]]);
      assert.ok(table.kind === "table");
      const [number, whole, color, yes, when] = table.columns;
      assert.ok(number?.kind === "numeric" && whole?.kind === "numeric" && color?.kind === "categorical" && yes?.kind === "boolean" && when?.kind === "datetime");
      assert.deepEqual([number.values[0], number.values[999], whole.values[999], color.codes[0], color.categories[color.codes[998] ?? -1], yes.categories[yes.codes[999] ?? -1], when.values[301]], [NaN, 499.5, 999, -1, "red", "true", Date.UTC(2024, 0, 2)]);
    });
  }

  const whole = Buffer.from(parquetWriteBuffer({ columnData: columns(100) }));
  const bad = [
    { what: "a file that is none", bytes: Buffer.from("a,b\n1,2\n3,4\n5,6\n"), says: /cannot be read as Parquet/ },
    { what: "a file that is cut off", bytes: whole.subarray(0, whole.length - 40), says: /cannot be read as Parquet/ },
    { what: "a nested column", bytes: Buffer.from(parquetWriteBuffer({ schema: LIST, columnData: [{ name: "list", data: [[1, 2], [3]] }] })), says: /column "list" is nested/ },
    { what: "infinity, with row and column", bytes: Buffer.from(parquetWriteBuffer({ columnData: [{ name: "x", data: [1, Infinity, 2], type: "DOUBLE" }] })), says: /row 2: column 1 \("x"\): Infinity is no finite number/ },
  ];
  for (const { what, bytes, says } of bad) it(`refuses ${what}`, () => assert.rejects(inspectDataset(request("parquet", bytes), signal), refused("DATASET_MALFORMED", says)));

  it("takes no more than a process that is ended, whatever byte is changed: a refusal or a table, never an internal error", async () => {
    const random = seededRandom();
    const inspect = childProcessInspector({ timeoutMs: 3_000 });
    for (let round = 0; round < FUZZ_ROUNDS; round++) {
      const bytes = Buffer.from(whole);
      for (let change = 0; change <= random.below(4); change++) bytes[random.below(bytes.length)] = random.below(256);

      const outcome = await inspect(request("parquet", bytes), signal).then(({ rowCount }) => rowCount, (error: unknown) => error);

      assert.ok(typeof outcome === "number" || (outcome instanceof StatusError && outcome.reason !== "INTERNAL" && !outcome.message.includes("the process that read the data set ended")), `${String(outcome)} (seed ${random.seed}, round ${round})`);
    }
  });
});

describe("NPZ", () => {
  const images = npy("|u1", [3, 2, 2], Uint8Array.from({ length: 12 }, (_, index) => index));
  const labels = npy("<i8", [3], new Uint8Array(BigInt64Array.of(7n, 5n, 7n).buffer));

  it("gives images with labels", async () => {
    const asked = request("npz", zip([{ path: "x.npy", bytes: images }, { path: "y.npy", bytes: labels }]));

    const inspection = await inspectDataset(asked, signal);
    using data = await opened(asked, inspection);

    assert.deepEqual([inspection.rowCount, inspection.imageShape, inspection.labelClasses, inspection.labelClassCounts], [3, [2, 2, 1], ["5", "7"], [1, 2]]);
    assert.ok(data.kind === "images");
    const pixels = new Float32Array(4);
    data.read(1, pixels, 0);
    assert.deepEqual([[...pixels], [...data.labels]], [[4, 5, 6, 7], [1, 0, 1]]);
  });

  const bad = [
    { what: "an archive without labels", entries: [{ path: "x.npy", bytes: images }], reason: "DATASET_MALFORMED", says: /no array of labels.*x\.npy/ },
    { what: "a pixel that is no number, with its row", entries: [{ path: "x.npy", bytes: npy("<f4", [3, 1, 1], new Uint8Array(Float32Array.of(1, 2, NaN).buffer)) }, { path: "y.npy", bytes: labels }], reason: "DATASET_MALFORMED", says: /images: row 3: NaN/ },
    { what: "an array that states more than there is", entries: [{ path: "x.npy", bytes: npy("|u1", [3, 60_000, 60_000], new Uint8Array(9)) }, { path: "y.npy", bytes: labels }], reason: "DATASET_MALFORMED", says: /bytes, 9 follow/ },
    { what: "an entry that is larger than it states", entries: [{ path: "x.npy", bytes: images, claims: { uncompressedSize: 5 } }, { path: "y.npy", bytes: labels }], reason: "DATASET_MALFORMED", says: /x\.npy" cannot be read as zip/ },
    { what: "an entry that states gigabytes", entries: [{ path: "x.npy", bytes: images, claims: { uncompressedSize: 4e9 } }], reason: "DATASET_TOO_LARGE", says: /4000000000 bytes unpacked/ },
    { what: "an encrypted entry", entries: [{ path: "x.npy", bytes: images, claims: { flags: 1 } }], reason: "DATASET_MALFORMED", says: /encrypted/ },
    { what: "a path that leads out", entries: [{ path: "../x.npy", bytes: images }], reason: "DATASET_MALFORMED", says: /invalid relative path/ },
    { what: "entries that share their bytes", entries: Array.from({ length: 60 }, (_, index) => ({ path: `${index}.npy`, bytes: randomBytes(2_000), ...(index === 0 ? {} : { claims: { offset: 0 } }) })), reason: "DATASET_MALFORMED", says: /entries of the archive overlap/ },
  ] as const;
  for (const { what, entries, reason, says } of bad) it(`refuses ${what}`, () => assert.rejects(inspectDataset(request("npz", zip(entries)), signal), refused(reason, says)));

  it("refuses what is no zip", () => assert.rejects(inspectDataset(request("npz", "PK, but no zip"), signal), refused("DATASET_MALFORMED", /cannot be read as zip/)));
});

describe("a zip of pictures", () => {
  const pictures = [
    { path: "set/red/1.bmp", bytes: bitmap(4, 4, [255, 0, 0]) },
    { path: "set/red/2.bmp", bytes: bitmap(8, 4, [250, 0, 0]) },
    { path: "set/blue/1.bmp", bytes: bitmap(4, 4, [0, 0, 255]) },
    { path: "__MACOSX/set/red/._1.bmp", bytes: Buffer.from("litter") },
  ];

  it("gives pixels of one size and the folders as classes, from a file that is decoded once", async () => {
    const asked = request("image_zip", zip(pictures));

    const inspection = await inspectDataset(asked, signal);

    assert.deepEqual([inspection.rowCount, inspection.imageShape, inspection.labelClasses, inspection.labelClassCounts], [3, [4, 4, 3], ["blue", "red"], [1, 2]]);
    assert.match(inspection.warnings.join("\n"), /2 sizes: each is brought to 4×4.*\n.*class "blue" has one row/);
    const cache = tempDir();
    for (const cacheDir of [undefined, cache.path, cache.path]) {
      using data = await opened(asked, inspection, cacheDir);
      assert.ok(data.kind === "images");
      const pixels = new Float32Array(48);
      const first = Array.from({ length: 3 }, (_, row) => (data.read(row, pixels, 0), [...pixels.subarray(45)]));
      assert.deepEqual([first, [...data.labels]], [[[0, 0, 255], [255, 0, 0], [250, 0, 0]], [0, 1, 1]]);
    }
    cache[Symbol.dispose]();
  });

  it("brings pictures to the size that is stated, in grey where one channel is", async () => {
    const asked = request("image_zip", zip(pictures), { imageShape: [2, 3, 1] });
    const inspection = await inspectDataset(asked, signal);
    using data = await opened(asked, inspection);

    assert.ok(data.kind === "images");
    const pixels = new Float32Array(6);
    data.read(1, pixels, 0);
    assert.deepEqual([data.shape, [...pixels]], [[2, 3, 1], [76, 76, 76, 76, 76, 76]]);
    await assert.rejects(inspectDataset({ ...asked, imageShape: [0, 3] }, signal), refused("FIELD_INVALID", /image_shape is \[0, 3\]/));
  });

  const odd = [...pictures, { path: "set/red/3.png", bytes: Buffer.from("\x89PNG\r\n\x1a\nbroken", "latin1") }, { path: "set/notes.txt", bytes: Buffer.from("x") }, { path: "alone.bmp", bytes: bitmap(1, 1, [0, 0, 0]) }];

  it("refuses pictures that cannot be decoded, other files and pictures outside of folders, by their paths", () =>
    assert.rejects(inspectDataset(request("image_zip", zip(odd)), signal), refused("DATASET_MALFORMED", /alone\.bmp: lies in no folder.*set\/notes\.txt: is no picture.*set\/red\/3\.png: .*cannot be decoded.*3 bad rows in all/)));

  it("leaves them out where that is asked for, and lists them", async () => {
    const { rowCount, skippedRows } = await inspectDataset(request("image_zip", zip(odd), { skipBadRows: true }), signal);

    assert.deepEqual([rowCount, skippedRows.map(({ place }) => place)], [3, ["alone.bmp", "set/notes.txt", "set/red/3.png"]]);
  });

  it("refuses an archive without pictures", () => assert.rejects(inspectDataset(request("image_zip", zip([])), signal), refused("DATASET_MALFORMED", /no pictures in folders/)));
});

describe("splits of stored data", () => {
  const rows = Array.from({ length: 100 }, (_, row) => `${row},${row % 4 === 0 ? "a" : "b"},p${row % 10},2024-01-${String((row % 28) + 1).padStart(2, "0")},${row < 70 ? "train" : row < 90 ? "val" : "test"}`);
  const asked = request("csv", `x,class,person,day,part\n${rows.join("\n")}\n`);
  const divide = async (draft: Partial<Parameters<typeof splitDataset>[1]>): Promise<number[]> => {
    const { columns, rowCount } = await inspectDataset(asked, signal);
    const assignment = await splitDataset({ ...asked, columns, rowCount }, { method: "random", column: "", validationFraction: 0.2, testFraction: 0.1, seed: 1, ...draft }, signal);
    return [0, 1, 2].map((part) => assignment.filter((each) => each === part).length);
  };

  it("are random, stratified, by groups, by time and as a column says", async () => {
    assert.deepEqual(await divide({}), [70, 20, 10]);
    assert.deepEqual(await divide({ method: "stratified", column: "class" }), [70, 20, 10]);
    assert.deepEqual(await divide({ method: "group", column: "person" }), [70, 20, 10]);
    assert.deepEqual(await divide({ method: "time", column: "day" }), [67, 21, 12]);
    assert.deepEqual(await divide({ method: "time" }), [70, 20, 10]);
    assert.deepEqual(await divide({ method: "time", column: "x" }), [70, 20, 10]);
    assert.deepEqual(await divide({ method: "given", column: "part" }), [70, 20, 10]);
  });

  it("say which row or word is in the way", async () => {
    await assert.rejects(divide({ method: "time", column: "class" }), refused("SPLIT_IMPOSSIBLE", /line 2 has no time/));
    await assert.rejects(divide({ method: "given", column: "class" }), refused("SPLIT_IMPOSSIBLE", /the column says "a"/));
    await assert.rejects(divide({ method: "group" }), refused("FIELD_INVALID", /split\.column is required/));
  });
});

describe("a process that reads", () => {
  it("is ended when it takes more memory than allowed", async () => {
    const inspect = childProcessInspector({ timeoutMs: 60_000, memoryBytesMax: 1024 ** 2 });

    await assert.rejects(inspect(request("csv", "a\n1\n"), signal), refused("DATASET_TOO_LARGE", /more than 1048576 bytes of memory/));
  });
});

describe("real data", () => {
  const path = (name: string): string => sharedAsset(`assets/datasets/${name}`) ?? "";
  const inspected = (format: InspectionRequest["format"], name: string, changes: Partial<InspectionRequest> = {}) => inspectDataset({ ...request(format, ""), files: [{ role: "data", path: path(name) }], ...changes }, signal);

  it("adult has the rows, gaps and classes that are known of it", { skip: skipWithout("assets/datasets/tabular/adult-train.csv") }, async () => {
    const header = "age,workclass,fnlwgt,education,education_num,marital,occupation,relationship,race,sex,gain,loss,hours,country,income".split(",");
    const { rowCount, columns } = await inspected("csv", "tabular/adult-train.csv", { header, missingValues: ["?"] });

    assert.equal(rowCount, 32_561);
    assert.equal(columns.reduce((sum, { missingCount }) => sum + missingCount, 0), 4_262);
    assert.deepEqual(columns.at(-1)?.statistics?.categoryCounts, [24_720, 7_841]);
    assert.deepEqual(columns.filter(({ kind }) => kind === "numeric").map(({ name }) => name), ["age", "fnlwgt", "education_num", "gain", "loss", "hours"]);
  });

  it("titanic has its empty cells, and True and False as yes and no", { skip: skipWithout("assets/datasets/tabular/titanic.csv") }, async () => {
    const { rowCount, columns } = await inspected("csv", "tabular/titanic.csv");

    assert.deepEqual([rowCount, columns.reduce((sum, { missingCount }) => sum + missingCount, 0)], [891, 869]);
    assert.deepEqual(columns.filter(({ kind }) => kind === "boolean").map(({ name }) => name), ["adult_male", "alive", "alone"]);
  });

  it("Banking77 has sentences, some over several lines, and 77 intents", { skip: skipWithout("assets/datasets/text/banking77-train.csv") }, async () => {
    const { rowCount, columns } = await inspected("csv", "text/banking77-train.csv");

    assert.deepEqual([rowCount, columns.map(({ name, kind }) => `${name}: ${kind}`), columns[1]?.categories.length], [10_003, ["text: text", "category: categorical"], 77]);
  });

  it("wine without a header line, and iris without a last line end, keep every row", { skip: skipWithout("assets/datasets/tabular/winequality-white.csv", "assets/datasets/tabular/iris.csv") }, async () => {
    const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`);

    assert.equal((await inspected("csv", "tabular/winequality-white.csv", { header: names(12) })).rowCount, 4_898);
    assert.equal((await inspected("csv", "tabular/iris.csv", { header: names(5) })).rowCount, 150);
  });

  it("Shakespeare is 40,000 lines", { skip: skipWithout("assets/datasets/text/tinyshakespeare.txt") }, async () => {
    assert.equal((await inspected("text", "text/tinyshakespeare.txt")).rowCount, 40_000);
  });

  it("Fashion-MNIST has 1,000 test pictures a class", { skip: skipWithout("assets/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz") }, async () => {
    const roles = ["images", "labels"].map((role) => ({ role, path: path(`fashion-mnist/t10k-${role}-idx${role === "images" ? 3 : 1}-ubyte.gz`) }));
    const { imageShape, labelClassCounts } = await inspected("idx", "", { files: roles });

    assert.deepEqual([imageShape, labelClassCounts], [[28, 28, 1], new Array(10).fill(1_000)]);
  });
});
