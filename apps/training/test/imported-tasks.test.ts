import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Scope, lenet, mlp } from "@servable/nn";
import { buildModel, softmax } from "@servable/onnx";
import { readTaskManifest } from "@servable/preprocessing";
import { seededRandom, tempDir } from "@servable/testing";
import ort from "onnxruntime-node";
import type { AttemptInput } from "../src/domain/job-executor.ts";
import { SPEC_DEFAULTS, type TrainingSpecRecord } from "../src/domain/training-spec-record.ts";
import { readTask } from "../src/worker/read-task.ts";
import { trainTask } from "./support/train-task.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const spec: TrainingSpecRecord = { ...SPEC_DEFAULTS, family: "imported", learningRate: 0.01, epochCount: 20, batchSize: 16, seed: 5, targetColumn: "kind" };

/** A folder with a model: what a registry's version of a base model gives. */
function baseModel(name: string, model: Uint8Array, files: Readonly<Record<string, string>> = {}): NonNullable<AttemptInput["baseModel"]> {
  const folder = join(directory.path, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.onnx"), model);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return { folder, digest: "sha256:0" };
}

/** An untrained perceptron of two numbers with a softmax behind it. */
function perceptron(classes: number): Uint8Array {
  const nn = new Scope({ mode: "infer", seed: 1, weights: () => undefined });
  const logits = mlp(nn, nn.input("features", "FP32", ["batch", 2]), { hidden: [16], outputs: classes });
  return buildModel({ graph: nn.graph, outputs: { probabilities: softmax(nn.graph, logits) } });
}

/** Three clouds of points; the label is the cloud's. */
function clouds(labels: readonly (string | number)[], model: NonNullable<AttemptInput["baseModel"]>, change: Partial<TrainingSpecRecord> = {}): AttemptInput {
  const random = seededRandom(9);
  const rows = Array.from({ length: 120 }, (_, index) => {
    const cloud = index % labels.length;
    return [(Math.cos(cloud * 2) * 3 + random.next()).toFixed(3), (Math.sin(cloud * 2) * 3 + random.next()).toFixed(3), labels[cloud]].join();
  });
  const path = join(directory.path, "clouds.csv");
  writeFileSync(path, `x,y,kind\n${rows.join("\n")}\n`);
  const kind = typeof labels[0] === "number" ? ("numeric" as const) : ("categorical" as const);
  return { files: [{ role: "data", path }], format: "csv", columns: [{ name: "x", kind: "numeric" }, { name: "y", kind: "numeric" }, { name: "kind", kind }], missingValues: [], spec: { ...spec, ...change }, outputDir: directory.path, baseModel: model };
}

describe("fine-tuning a registered classifier", () => {
  it("keeps its signature and learns through its softmax where it knows the classes by number", async () => {
    const { files, evaluation, task } = await trainTask(clouds([0, 1, 2], baseModel("three", perceptron(3))));

    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
    assert.deepEqual(task.warnings, []);
    const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
    assert.deepEqual([session.inputNames, session.outputNames], [["features"], ["probabilities"]]);
    const { probabilities } = await session.run({ features: new ort.Tensor("float32", [3.5, 0.5], [1, 2]) });
    assert.ok(Number(probabilities?.data[0]) > 0.9);
  });

  it("keeps its labels' names where it has a manifest", async () => {
    const manifest = 'task: text-classification\ntokenizer: {}\nclassification: { output: probabilities, scores: probabilities, labels: ["c", "a", "b"] }\n';
    const { evaluation, files } = await trainTask(clouds(["a", "b"], baseModel("named", perceptron(3), { "servable.yaml": manifest })));

    assert.deepEqual(evaluation.classes, ["c", "a", "b"]);
    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
    assert.deepEqual(readTaskManifest(new TextDecoder().decode(files.get("servable.yaml"))).classification?.output, "probabilities");
  });

  it("gets a fresh head for other classes", async () => {
    const { files, evaluation, task } = await trainTask(clouds(["near", "far", "left"], baseModel("five", perceptron(5))));

    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
    assert.match(task.warnings.join(), /head is replaced/);
    const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
    assert.deepEqual(session.outputNames, ["logits"]);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(files.get("labels.json"))), { labels: ["far", "left", "near"] });
  });

  it("trains adapters alone", async () => {
    const { evaluation } = await trainTask(clouds([0, 1, 2], baseModel("adapted", perceptron(3)), { lowRankAdaptation: { rank: 4, alpha: 8, targets: [] }, epochCount: 40 }));

    assert.ok((evaluation.metrics["accuracy"]?.value ?? 0) > 0.9);
  });

  it("takes pictures in the layout of its input", async () => {
    const nn = new Scope({ mode: "infer", seed: 1, weights: () => undefined });
    const model = buildModel({ graph: nn.graph, outputs: { logits: lenet(nn, nn.input("input", "FP32", ["N", 1, 16, 16]), 2) } });
    const pixels = Buffer.alloc(16 + 64 * 256);
    const labels = Buffer.alloc(8 + 64);
    for (const [buffer, sizes] of [[pixels, [0x803, 64, 16, 16]], [labels, [0x801, 64]]] as const) sizes.forEach((size, at) => buffer.writeUInt32BE(size, at * 4));
    for (let row = 0; row < 64; row++) {
      labels[8 + row] = row % 2;
      for (let at = 0; at < 256; at++) pixels[16 + row * 256 + at] = (row % 2 === 0 ? at % 16 : Math.floor(at / 16)) * 16;
    }
    const files = [{ role: "images", path: join(directory.path, "stripes") }, { role: "labels", path: join(directory.path, "stripe-labels") }];
    writeFileSync(files[0]?.path ?? "", pixels);
    writeFileSync(files[1]?.path ?? "", labels);
    const manifest = 'task: image-classification\nimage: { scale: 0.00392156862745098, colors: gray }\nclassification: { labels: ["0", "1"] }\n';

    const { evaluation } = await trainTask({ files, format: "idx", columns: [], missingValues: [], spec: { ...spec, targetColumn: "", epochCount: 5 }, outputDir: directory.path, baseModel: baseModel("pictures", model, { "servable.yaml": manifest }) });

    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
  });

  it("refuses labels out of range, naming the row", async () => {
    await assert.rejects(readTask(clouds([0, 1, 7], baseModel("range", perceptron(3)))), { reason: "FIELD_INVALID", message: /holds the label 7 \(column "kind", line 4\), and the base model has the classes 0 to 2/ });
  });

  it("refuses other numbers of features and cells without a value", async () => {
    const wide = clouds([0, 1, 2], baseModel("wide", perceptron(3)), { featureColumns: ["x"] });

    await assert.rejects(readTask(wide), { reason: "FIELD_INVALID", message: /are 1 columns \(x\), and the base model's input "features" takes 2/ });
  });

  it("refuses bytes that are no model", async () => {
    await assert.rejects(readTask(clouds([0, 1, 2], baseModel("broken", Buffer.from("not a model")))), { reason: "MODEL_NOT_ONNX" });
  });
});
