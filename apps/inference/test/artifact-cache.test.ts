import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AssignmentSchema, type Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { Graph, add, buildModel, inlineBytes, largeInitializers, matMul, moveToFile, readModel, ModelProtoSchema } from "@servable/onnx";
import { openFileBlobStore } from "@servable/storage";
import { tempDir } from "@servable/testing";
import { toBinary } from "@bufbuild/protobuf";
import ort from "onnxruntime-node";
import { createArtifactCache, type ArtifactCache } from "../src/artifact-cache.ts";

const SIZE = 512; // [512, 512] f32 = 1 MiB: large enough to be worth sharing

/** y = x · w + b: the weight of a seed, the bias of another. */
function model(weightSeed: number, biasSeed: number): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", SIZE]);
  const values = (count: number, seed: number) => Array.from({ length: count }, (_, index) => Math.fround(Math.sin(index + seed) / 10));
  return buildModel({ graph, outputs: { y: add(graph, matMul(graph, x, graph.constant("FP32", [SIZE, SIZE], values(SIZE * SIZE, weightSeed))), graph.constant("FP32", [SIZE], values(SIZE, biasSeed))) } });
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A registry that has these files, and counts what is asked of it. */
function registryOf(files: Record<string, Uint8Array>) {
  const downloads: string[] = [];
  return {
    downloads,
    assignment: create(AssignmentSchema, {
      deployment: "projects/p/deployments/m",
      modelVersion: { name: "projects/p/models/m/versions/1", digest: `sha256:${sha256(Buffer.from(Object.entries(files).map(([path, bytes]) => `${path} ${sha256(bytes)}`).join("\n")))}`, artifacts: Object.entries(files).map(([path, bytes]) => ({ path, sha256: sha256(bytes), sizeBytes: BigInt(bytes.length) })) },
    }),
    async *downloadArtifact({ path = "" }: { path?: string }) {
      downloads.push(path);
      yield { chunk: new Uint8Array() };
      yield { chunk: files[path] ?? new Uint8Array() };
    },
  };
}

async function cacheOf(directory: string, registry: ReturnType<typeof registryOf>, events: unknown[] = []): Promise<ArtifactCache> {
  return createArtifactCache({ registry: registry as never, blobs: await openFileBlobStore(directory), directory, onEvent: (event, fields) => events.push({ event, ...fields }) });
}

async function run(folder: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
  const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.from({ length: SIZE }, (_, index) => Math.cos(index)), [1, SIZE]) });
  const data = (y?.data as Float32Array).slice();
  await session.release();
  return data;
}

describe("artifact cache", () => {
  it("lays a version out as one folder, pulls each file once and builds once for callers that come together", async () => {
    using directory = tempDir();
    const registry = registryOf({ "model.onnx": Buffer.from("m"), "labels.txt": Buffer.from("cat\ndog"), "warmup/x": Buffer.from("w") });
    const cache = await cacheOf(directory.path, registry);

    const [folder, same] = await Promise.all([cache(registry.assignment), cache(registry.assignment)]);

    assert.equal(folder, same);
    assert.equal(readFileSync(join(folder, "labels.txt"), "utf8"), "cat\ndog");
    assert.equal(readFileSync(join(folder, "warmup/x"), "utf8"), "w");
    assert.deepEqual(registry.downloads.toSorted(), ["labels.txt", "model.onnx", "warmup/x"]);
    assert.equal(await cache(registry.assignment), folder);
    assert.equal(registry.downloads.length, 3);
    assert.deepEqual(readdirSync(join(directory.path, "versions")).length, 1);
  });

  it("shares equal weights between versions, and leaves answers and blobs as they were", async () => {
    using directory = tempDir();
    const [one, two] = [registryOf({ "model.onnx": model(1, 1) }), registryOf({ "model.onnx": model(1, 2) })];
    const events: { event?: string; tensorCount?: number; knownBytes?: number }[] = [];

    const folders = [await (await cacheOf(directory.path, one, events))(one.assignment), await (await cacheOf(directory.path, two, events))(two.assignment)];

    const links = folders.map((folder) => readdirSync(join(folder, ".tensors")).map((name) => statSync(join(folder, ".tensors", name)).ino));
    assert.deepEqual(links[0], links[1]);
    assert.deepEqual(events.map(({ event, tensorCount, knownBytes }) => [event, tensorCount, knownBytes]), [["weights_shared", 1, 0], ["weights_shared", 1, SIZE * SIZE * 4]]);
    for (const [index, { assignment }] of [one, two].entries()) {
      const blob = assignment.modelVersion?.artifacts[0]?.sha256 ?? "";
      const original = join(directory.path, blob.slice(0, 2), blob);
      assert.equal(sha256(readFileSync(original)), blob);
      assert(statSync(join(folders[index] ?? "", "model.onnx")).size < 20_000);
      const [got, want] = [await run(folders[index] ?? ""), await ort.InferenceSession.create(original).then((session) => session.run({ x: new ort.Tensor("float32", Float32Array.from({ length: SIZE }, (_, at) => Math.cos(at)), [1, SIZE]) }))];
      assert.deepEqual(got, want["y"]?.data);
    }
  });

  it("takes weights out of a file that came with the model, whose space is then free", async () => {
    using directory = tempDir();
    const whole = model(3, 3);
    const parsed = readModel(whole);
    const [tensor] = largeInitializers(parsed, 100_000);
    assert(tensor);
    const data = inlineBytes(tensor) ?? new Uint8Array();
    moveToFile(tensor, "data/weights.bin", data.length);
    const registry = registryOf({ "model.onnx": toBinary(ModelProtoSchema, parsed), "data/weights.bin": data });

    const folder = await (await cacheOf(directory.path, registry))(registry.assignment);

    assert.deepEqual(readdirSync(join(folder, ".tensors")), [sha256(data)]);
    assert.equal(existsSync(join(folder, "data/weights.bin")), false);
    const alone = registryOf({ "model.onnx": whole });
    assert.deepEqual(await run(folder), await run(await (await cacheOf(directory.path, alone))(alone.assignment)));
  });

  it("serves what cannot be shared as it is, and says why", async () => {
    using directory = tempDir();
    const registry = registryOf({ "model.onnx": new Uint8Array(2 ** 21).fill(255) });
    const events: { event?: string; reason?: string }[] = [];

    const folder = await (await cacheOf(directory.path, registry, events))(registry.assignment);

    assert.equal(statSync(join(folder, "model.onnx")).size, 2 ** 21);
    assert.deepEqual(events.map(({ event }) => event), ["weights_not_shared"]);
    assert.match(events[0]?.reason ?? "", /no ONNX model/);
  });

  for (const path of ["../../out", "/tmp/out", ".tensors/../../x"]) {
    it(`refuses a registry that says a file is ${path}, and leaves nothing`, async () => {
      using directory = tempDir();
      const registry = registryOf({ "model.onnx": Buffer.from("m"), [path]: Buffer.from("x") });
      const cache = await cacheOf(directory.path, registry);

      await assert.rejects(cache(registry.assignment), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID");
      assert.deepEqual(readdirSync(join(directory.path, "versions")), []);
    });
  }

  it("forgets at its start what nobody used for a week, and the weights that only it had", async () => {
    using directory = tempDir();
    const [old, current] = [registryOf({ "model.onnx": model(5, 1) }), registryOf({ "model.onnx": model(6, 1) })];
    const build = async ({ assignment, ...registry }: { assignment: Assignment } & ReturnType<typeof registryOf>) => (await cacheOf(directory.path, { assignment, ...registry }))(assignment);
    const [oldFolder, currentFolder] = [await build(old), await build(current)];
    const longAgo = new Date(Date.now() - 8 * 24 * 3_600_000);
    utimesSync(oldFolder, longAgo, longAgo);
    for (const name of readdirSync(join(directory.path, "tensors"))) utimesSync(join(directory.path, "tensors", name), longAgo, longAgo);

    await cacheOf(directory.path, current);

    assert.deepEqual([existsSync(oldFolder), existsSync(currentFolder)], [false, true]);
    assert.deepEqual(readdirSync(join(directory.path, "tensors")), readdirSync(join(currentFolder, ".tensors")));
  });
});
