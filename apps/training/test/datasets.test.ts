import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Column_Kind, Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { controlledExecutor } from "./support/controlled-executor.ts";
import { reason, startHarness, type Harness } from "./support/harness.ts";

const ROWS = "a,b\n1,yes\n2,no\n";

describe("data sets", () => {
  const executor = controlledExecutor();
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ execute: executor.execute });
  });
  after(() => harness[Symbol.asyncDispose]());

  const storedFiles = (): string[] =>
    (readdirSync(harness.config.blobDir, { recursive: true }) as string[]).filter((name) => statSync(join(harness.config.blobDir, name)).isFile());

  it("answer their schema, digest and size, and are deleted with their bytes", async () => {
    const sha256 = createHash("sha256").update(ROWS).digest("hex");

    const dataset = await harness.upload("first", { data: ROWS }, { sha256 });

    assert.equal(dataset.name, "projects/p/datasets/first");
    assert.equal(dataset.rowCount, 2n);
    assert.equal(dataset.sizeBytes, BigInt(ROWS.length));
    assert.equal(dataset.digest, `sha256:${createHash("sha256").update(`data ${sha256}\n`).digest("hex")}`);
    assert.deepEqual(dataset.columns.map(({ name, kind, categories }) => ({ name, kind, categories })), [
      { name: "a", kind: Column_Kind.CATEGORICAL, categories: ["1", "2"] },
      { name: "b", kind: Column_Kind.CATEGORICAL, categories: ["yes", "no"] },
    ]);
    assert.deepEqual(await harness.client().getDataset({ name: dataset.name }), dataset);

    await harness.client().deleteDataset({ name: dataset.name });

    await assert.rejects(harness.client().getDataset({ name: dataset.name }), reason("DATASET_NOT_FOUND"));
    assert.deepEqual(storedFiles(), []);
  });

  it("keep bytes that another data set shares", async () => {
    const one = await harness.upload("twin-1", { data: ROWS });
    const two = await harness.upload("twin-2", { data: ROWS });

    await harness.client().deleteDataset({ name: one.name });

    assert.equal(storedFiles().length, 1);
    await harness.client().deleteDataset({ name: two.name });
    assert.deepEqual(storedFiles(), []);
  });

  it("are immutable", async () => {
    await harness.upload("taken", { data: ROWS });

    await assert.rejects(harness.upload("taken", { data: "a,b\n1,2\n" }), reason("ALREADY_EXISTS"));

    await harness.client().deleteDataset({ name: "projects/p/datasets/taken" });
  });

  const refused: readonly { what: string; want: ReturnType<typeof reason>; upload: () => Promise<unknown> }[] = [
    { what: "a row that cannot be read", want: reason("DATASET_MALFORMED", "line 3"), upload: () => harness.upload("x", { data: "a,b\n1,2\nbad\n" }) },
    { what: "bytes of another digest", want: reason("ARTIFACT_DIGEST_MISMATCH"), upload: () => harness.upload("x", { data: ROWS }, { sha256: "0".repeat(64) }) },
    { what: "a digest that is none", want: reason("FIELD_INVALID", "sha256"), upload: () => harness.upload("x", { data: ROWS }, { sha256: "abc" }) },
    { what: "more bytes than the limit", want: reason("DATASET_TOO_LARGE", "SERVABLE_DATASET_BYTES_MAX"), upload: () => harness.upload("x", { data: "a,b\n".padEnd(3_000_001, "1,2\n") }) },
    { what: "a file of another format's role", want: reason("FIELD_INVALID", '"images"'), upload: () => harness.upload("x", { images: ROWS }) },
    { what: "images without labels", want: reason("FIELD_REQUIRED", '"labels"'), upload: () => harness.upload("x", { images: ROWS }, { format: Dataset_Format.IDX }) },
    { what: "a head without a format", want: reason("FIELD_REQUIRED", "head.dataset.format"), upload: () => harness.upload("x", { data: ROWS }, { format: Dataset_Format.UNSPECIFIED }) },
    { what: "an id with a slash", want: reason("FIELD_INVALID", "dataset_id"), upload: () => harness.upload("x/y", { data: ROWS }) },
    { what: "a stream without a head", want: reason("FIELD_REQUIRED", "head"), upload: () => harness.client().uploadDataset([{ payload: { case: "chunk", value: new Uint8Array(1) } }]) },
    {
      what: "a chunk before its file",
      want: reason("FIELD_INVALID", "file"),
      upload: () =>
        harness.client().uploadDataset([
          { payload: { case: "head", value: { parent: "projects/p", datasetId: "x", dataset: { format: Dataset_Format.CSV } } } },
          { payload: { case: "chunk", value: new Uint8Array(1) } },
        ]),
    },
    {
      what: "a chunk above a mebibyte",
      want: reason("FIELD_INVALID", "1048577 bytes"),
      upload: () =>
        harness.client().uploadDataset([
          { payload: { case: "head", value: { parent: "projects/p", datasetId: "x", dataset: { format: Dataset_Format.CSV } } } },
          { payload: { case: "file", value: { role: "data" } } },
          { payload: { case: "chunk", value: new Uint8Array(1024 * 1024 + 1) } },
        ]),
    },
  ];
  for (const { what, want, upload } of refused) {
    it(`keep nothing of an upload refused for ${what}`, async () => {
      await assert.rejects(upload(), want);

      await assert.rejects(harness.client().getDataset({ name: "projects/p/datasets/x" }), reason("DATASET_NOT_FOUND"));
      assert.deepEqual(storedFiles(), []);
    });
  }

  it("keep nothing of an upload that its caller gives up", async () => {
    const controller = new AbortController();
    const arrived = Promise.withResolvers<void>();
    const requests = async function* () {
      yield { payload: { case: "head" as const, value: { parent: "projects/p", datasetId: "x", dataset: { format: Dataset_Format.CSV } } } };
      yield { payload: { case: "file" as const, value: { role: "data" } } };
      yield { payload: { case: "chunk" as const, value: Buffer.from(ROWS) } };
      arrived.resolve();
      await new Promise(() => {});
    };
    const upload = harness.client().uploadDataset(requests(), { signal: controller.signal });
    upload.catch(() => {});
    await arrived.promise;

    controller.abort();

    await assert.rejects(upload, reason("CANCELLED"));
    await assert.rejects(harness.client().getDataset({ name: "projects/p/datasets/x" }), reason("DATASET_NOT_FOUND"));
    while (storedFiles().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  it("are listed by name, page by page", async () => {
    for (const id of ["p3", "p1", "p2"]) await harness.upload(id, { data: ROWS });

    const first = await harness.client().listDatasets({ parent: "projects/p", pageSize: 2 });
    const second = await harness.client().listDatasets({ parent: "projects/p", pageSize: 2, pageToken: first.nextPageToken });

    assert.deepEqual(first.datasets.map(({ name }) => name), ["projects/p/datasets/p1", "projects/p/datasets/p2"]);
    assert.deepEqual(second.datasets.map(({ name }) => name), ["projects/p/datasets/p3"]);
    assert.equal(second.nextPageToken, "");
    for (const id of ["p1", "p2", "p3"]) await harness.client().deleteDataset({ name: `projects/p/datasets/${id}` });
  });

  it("cannot be deleted while a job uses them", async () => {
    await harness.upload("rows", { data: ROWS });
    const job = await harness.create("user");

    await assert.rejects(harness.client().deleteDataset({ name: "projects/p/datasets/rows" }), reason("RESOURCE_IN_USE", job.name));

    (await executor.next()).succeed();
    for await (const _ of harness.client().watchTrainingJob({ name: job.name }));
    await harness.client().deleteDataset({ name: "projects/p/datasets/rows" });
  });

  it("are written by developers of their project only", async () => {
    const user = harness.client({ project: "p", principal: "projects/p/apiKeys/u", role: "user" });
    const stranger = harness.client({ project: "q", principal: "projects/q/apiKeys/k", role: "developer" });
    const kept = await harness.upload("kept", { data: ROWS });

    await assert.rejects(user.deleteDataset({ name: kept.name }), reason("PERMISSION_DENIED"));
    await assert.rejects(stranger.getDataset({ name: kept.name }), reason("PERMISSION_DENIED"));
    assert.equal((await user.getDataset({ name: kept.name })).name, kept.name);
    await harness.client().deleteDataset({ name: kept.name });
  });
});
