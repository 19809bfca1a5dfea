import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { linkArtifacts } from "./artifact-folder.ts";
import { openFileBlobStore } from "./blob-store.ts";

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

describe("a folder of artifacts", () => {
  it("has every file at its path, without a copy of the bytes", async () => {
    using directory = tempDir();
    const blobs = await openFileBlobStore(join(directory.path, "blobs"));
    const model = await blobs.put(bytes("model"));
    const labels = await blobs.put(bytes("labels"));

    await linkArtifacts(join(directory.path, "v"), [{ path: "model.onnx", ...model }, { path: "a/b/labels.txt", ...labels }, { path: "a/same.txt", ...labels }], blobs);

    assert.equal(readFileSync(join(directory.path, "v/a/b/labels.txt"), "utf8"), "labels");
    assert.equal(statSync(join(directory.path, "v/model.onnx")).ino, statSync(blobs.path(model.sha256)).ino);
    assert.equal(statSync(blobs.path(labels.sha256)).nlink, 3);
  });

  for (const path of ["../out", "a/../../out", "/etc/passwd", "", "a//b", "./a", "a\\b", "C:x", "a/", "nul\0"]) {
    it(`refuses ${JSON.stringify(path)}`, async () => {
      using directory = tempDir();
      const blobs = await openFileBlobStore(join(directory.path, "blobs"));
      const blob = await blobs.put(bytes("x"));

      await assert.rejects(linkArtifacts(join(directory.path, "v"), [{ path, ...blob }], blobs), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID");
    });
  }

  const otherDevice = statSync(tmpdir()).dev === statSync("/dev/shm", { throwIfNoEntry: false })?.dev || !existsSync("/dev/shm");
  it("is a folder of copies on another device", { skip: otherDevice && "this machine has no second device at /dev/shm" }, async () => {
    using directory = tempDir();
    const elsewhere = mkdtempSync("/dev/shm/servable-test-");
    const blobs = await openFileBlobStore(join(directory.path, "blobs"));
    const blob = await blobs.put(bytes("model"));

    await linkArtifacts(elsewhere, [{ path: "a/model.onnx", ...blob }], blobs);

    assert.equal(readFileSync(join(elsewhere, "a/model.onnx"), "utf8"), "model");
    assert.equal(statSync(blobs.path(blob.sha256)).nlink, 1);
    rmSync(elsewhere, { recursive: true });
  });

  it("refuses a file below a file, and says which blob is missing", async () => {
    using directory = tempDir();
    const blobs = await openFileBlobStore(join(directory.path, "blobs"));
    const blob = await blobs.put(bytes("x"));

    await assert.rejects(linkArtifacts(join(directory.path, "v"), [{ path: "a", ...blob }, { path: "a/b", ...blob }], blobs), /"a\/b" lies below the file "a"/);
    await assert.rejects(linkArtifacts(join(directory.path, "w"), [{ path: "a", sha256: "0".repeat(64) }], blobs), (error: unknown) => error instanceof StatusError && error.reason === "ARTIFACT_NOT_FOUND");
  });
});
