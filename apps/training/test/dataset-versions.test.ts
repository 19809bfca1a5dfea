import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Column_Kind, DatasetSplit_Method, Dataset_BadRowPolicy } from "@servable/contracts/training/v1/dataset";
import { childProcessInspector } from "../src/executor/child-process-inspector.ts";
import { reason, startHarness, type Harness } from "./support/harness.ts";

const NAME = "projects/p/datasets/people";
const ROWS = "age,group\n" + Array.from({ length: 40 }, (_, row) => `${20 + row},g${row % 8}\n`).join("");

describe("versions of data sets", () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }) });
    await harness.upload("people", { data: ROWS });
  });
  after(() => harness[Symbol.asyncDispose]());

  it("are counted, the newest is the data set, and each can be read by its number", async () => {
    const second = await harness.upload("people", { data: ROWS + "70,g1\n" }, { newVersion: true });
    const again = await harness.upload("people", { data: ROWS + "70,g1\n" }, { newVersion: true });

    assert.deepEqual([second.version, second.rowCount, again.version], [2n, 41n, 2n]);
    assert.equal((await harness.client().getDataset({ name: NAME })).digest, second.digest);
    assert.equal((await harness.client().getDataset({ name: `${NAME}/versions/1` })).rowCount, 40n);
    const { datasets, nextPageToken } = await harness.client().listDatasetVersions({ parent: NAME, pageSize: 1 });
    const older = await harness.client().listDatasetVersions({ parent: NAME, pageSize: 1, pageToken: nextPageToken });
    assert.deepEqual([...datasets, ...older.datasets].map(({ version }) => version), [2n, 1n]);
    assert.deepEqual((await harness.client().listDatasets({ parent: "projects/p" })).datasets.map(({ name, version }) => [name, version]), [[NAME, 2n]]);
    await assert.rejects(harness.client().getDataset({ name: `${NAME}/versions/9` }), reason("DATASET_NOT_FOUND"));
    await assert.rejects(harness.client().getDataset({ name: `${NAME}/versions/x` }), reason("FIELD_INVALID", "no version"));
    await assert.rejects(harness.upload("people", { data: ROWS }), reason("ALREADY_EXISTS", "new_version"));
  });

  it("come of reading the same files in another way; a description alone makes none", async () => {
    const columns = [{ name: "age", kind: Column_Kind.CATEGORICAL }];

    const changed = await harness.client().updateDataset({ dataset: { name: NAME, columns, missingValues: ["70"] }, updateMask: { paths: ["columns", "missing_values"] } });
    const described = await harness.client().updateDataset({ dataset: { name: NAME, description: "of a town" } });

    assert.deepEqual([changed.version, changed.columns[0]?.kind, changed.columns[0]?.missingCount], [3n, Column_Kind.CATEGORICAL, 1n]);
    assert.deepEqual([described.version, described.description, described.digest], [3n, "of a town", changed.digest]);
    assert.notEqual(changed.digest, (await harness.client().getDataset({ name: `${NAME}/versions/2` })).digest);
    await assert.rejects(harness.client().updateDataset({ dataset: { name: NAME }, updateMask: { paths: ["row_count"] } }), reason("FIELD_INVALID", "row_count"));
    await assert.rejects(harness.client().updateDataset({ dataset: { name: NAME, columns: [{ name: "group", kind: Column_Kind.NUMERIC }] } }), reason("DATASET_MALFORMED", "line 2"));
    assert.equal((await harness.client().getDataset({ name: NAME })).version, 3n);
  });

  it("refuse bad rows with their lines, or keep the list of those left out", async () => {
    const text = `${ROWS}oops\n1,g1\n`;

    await assert.rejects(harness.upload("odd", { data: text }), reason("DATASET_MALFORMED", "line 42"));
    const kept = await harness.upload("odd", { data: text }, { dataset: { badRowPolicy: Dataset_BadRowPolicy.SKIP } });

    assert.deepEqual([kept.rowCount, kept.skippedRows.map(({ place }) => place)], [41n, ["line 42"]]);
    assert.equal(kept.columns[0]?.statistics?.max, 59);
  });

  it("hold splits that stay as they were made", async () => {
    const parent = `${NAME}/versions/1`;
    const make = (splitId: string, seed = 7n) => harness.client().createDatasetSplit({ parent, split: { splitId, method: DatasetSplit_Method.GROUP, column: "group", validationFraction: 0.25, testFraction: 0.125, seed } });

    const split = await make("by-group");
    const twin = await make("twin");

    assert.deepEqual([split.trainingRowCount, split.validationRowCount, split.testRowCount], [25n, 10n, 5n]);
    assert.equal(split.digest, twin.digest);
    assert.notEqual((await make("other", 8n)).digest, split.digest);
    assert.deepEqual((await harness.client().getDataset({ name: parent })).splits.map(({ splitId }) => splitId), ["by-group", "other", "twin"]);
    assert.deepEqual((await harness.client().getDataset({ name: NAME })).splits, []);
    await assert.rejects(make("by-group"), reason("ALREADY_EXISTS", "by-group"));
    await assert.rejects(harness.client().createDatasetSplit({ parent, split: { splitId: "x", method: DatasetSplit_Method.GROUP, column: "nobody" } }), reason("FIELD_INVALID", "nobody"));
    await assert.rejects(harness.client().createDatasetSplit({ parent, split: { splitId: "x", validationFraction: 2 } }), reason("FIELD_INVALID", "validation_fraction"));
  });

  it("are all deleted with the data set", async () => {
    await harness.client().deleteDataset({ name: NAME });

    await assert.rejects(harness.client().getDataset({ name: `${NAME}/versions/1` }), reason("DATASET_NOT_FOUND"));
  });
});
