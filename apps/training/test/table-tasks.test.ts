import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { seededRandom, tempDir } from "@servable/testing";
import { typedArrayOf } from "@servable/tensor";
import { adam } from "@servable/optim";
import { createTrainer } from "@servable/trainer";
import ort from "onnxruntime-node";
import type { AttemptInput } from "../src/domain/job-executor.ts";
import { PREPROCESSING_DEFAULTS } from "../src/domain/preprocessing-spec.ts";
import type { ColumnKind } from "../src/domain/records.ts";
import { SPEC_DEFAULTS, type TrainingSpecRecord } from "../src/domain/training-spec-record.ts";
import { readTask } from "../src/worker/read-task.ts";
import { trainTask } from "./support/train-task.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const spec: TrainingSpecRecord = { ...SPEC_DEFAULTS, learningRate: 0.05, epochCount: 25, batchSize: 16, seed: 7, targetColumn: "target" };

/** A job over a CSV of these columns. */
function csvJob(columns: Readonly<Record<string, ColumnKind>>, rows: readonly (readonly (string | number)[])[], change: Partial<TrainingSpecRecord> = {}): AttemptInput {
  const path = join(directory.path, "table.csv");
  writeFileSync(path, `${Object.keys(columns).join()}\n${rows.map((row) => row.join()).join("\n")}\n`);
  return { files: [{ role: "data", path }], format: "csv", columns: Object.entries(columns).map(([name, kind]) => ({ name, kind })), missingValues: [""], spec: { ...spec, ...change }, outputDir: directory.path };
}

/** Points left and right of x = 5, a color that helps, and gaps. */
function separable(change: Partial<TrainingSpecRecord> = {}, names: readonly [string, string] = ["x", "color"]): AttemptInput {
  const rows = Array.from({ length: 200 }, (_, index) => {
    const right = index % 2 === 1;
    return [index % 17 === 0 ? "" : ((right ? 7 : 3) + Math.sin(index) * 1.5).toFixed(3), right ? "rot" : "blau", right ? "yes" : "no"];
  });
  return csvJob({ [names[0]]: "numeric", [names[1]]: "categorical", target: "categorical" }, rows, change);
}

/** y = 3·x - 2·z + 5 with noise. */
function linearRows(count: number): (string | number)[][] {
  const random = seededRandom(3);
  return Array.from({ length: count }, () => {
    const [x, z] = [random.next() * 4 - 2, random.next() * 4 - 2];
    return [x.toFixed(4), z.toFixed(4), (3 * x - 2 * z + 5 + (random.next() - 0.5) * 0.2).toFixed(4)];
  });
}

const refused = (want: Reason, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want);
  assert.match(error.message, says);
  return true;
};

describe("learning from tables", () => {
  const families: readonly { readonly name: string; readonly change: Partial<TrainingSpecRecord> }[] = [
    { name: "logistic regression", change: { family: "logistic_regression" } },
    { name: "softmax regression", change: { family: "softmax_regression" } },
    { name: "an MLP with dropout", change: { family: "mlp", hiddenUnits: [8], dropout: 0.1 } },
    { name: "the family that suits the target", change: {} },
    { name: "class weights and smoothed labels", change: { classWeights: { yes: 2 }, labelSmoothing: 0.1 } },
    { name: "the focal loss and penalties", change: { loss: "focal", l1Penalty: 1e-4, l2Penalty: 1e-4 } },
  ];
  for (const { name, change } of families) {
    it(`separates classes by ${name}, and the exported model serves raw rows alike`, async () => {
      const { files, evaluation, task } = await trainTask(separable(change));

      assert.equal(evaluation.metrics["accuracy"]?.value, 1);
      assert.equal(task.trainingRows.length + task.validationRows.length, 200);
      const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
      const { label, probabilities } = await session.run({ x: new ort.Tensor("float32", [2.5, 8, NaN], [3, 1]), color: new ort.Tensor("string", ["blau", "rot", "rot"], [3, 1]) });
      assert.deepEqual([label?.data, probabilities?.dims], [["no", "yes", "yes"], [3, 2]]);
    });
  }

  for (const { name, change } of [{ name: "linear regression", change: { family: "linear_regression" } }, { name: "an MLP under Huber's loss", change: { family: "mlp", loss: "huber", hiddenUnits: [16], learningRate: 0.01 } }] as const) {
    it(`meets a number by ${name}, in the number's own unit`, async () => {
      const { files, evaluation } = await trainTask(csvJob({ x: "numeric", z: "numeric", target: "numeric" }, linearRows(400), change));

      assert.ok((evaluation.metrics["r2"]?.value ?? 0) > 0.99, JSON.stringify(evaluation.metrics["r2"]));
      const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
      const { value } = await session.run({ x: new ort.Tensor("float32", [1], [1, 1]), z: new ort.Tensor("float32", [-1], [1, 1]) });
      assert.ok(Math.abs(Number(value?.data[0]) - 10) < 0.5, `f(1, -1) is ${value?.data[0]}, 10 expected`);
    });
  }

  it("turns columns into features as the job says, and the exported model does the same with raw rows", async () => {
    const random = seededRandom(5);
    const colors = ["rot", "blau", "grün"];
    const cells = Array.from({ length: 120 }, (_, row) => ({ x: row % 7 === 0 ? NaN : Math.fround(random.next() * 100), z: row % 5 === 0 ? NaN : Math.fround(random.next()), color: row % 9 === 0 ? "" : random.pick(colors) }));
    const rows = cells.map(({ x, z, color }) => [Number.isNaN(x) ? "" : x, Number.isNaN(z) ? "" : z, color, color === "rot" || x > 50 ? "yes" : "no"]);
    const preprocessing = { ...PREPROCESSING_DEFAULTS, imputation: "median", scaling: "min_max", encoding: "ordinal", columns: [{ column: "z", imputation: "constant", constant: -2, scaling: "none", missingIndicator: true }] } as const;
    const task = await readTask(csvJob({ x: "numeric", z: "numeric", color: "categorical", target: "categorical" }, rows, { preprocessing }));
    await using trainer = await createTrainer({ network: task.network, optimizer: adam({ learningRate: 0.05 }), seed: 1 });
    for (let step = 0; step < 20; step++) await trainer.step(task.feeds(task.trainingRows));

    // What training sees of a row is what the options say, worked out here from the training rows.
    const known = Array.from(task.trainingRows, (row) => cells[row]?.x ?? NaN).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b);
    const [min, max, half] = [known[0] ?? NaN, known.at(-1) ?? NaN, (known.length - 1) / 2];
    const median = ((known[Math.floor(half)] ?? NaN) + (known[Math.ceil(half)] ?? NaN)) / 2;
    const count = (color: string): number => Array.from(task.trainingRows).filter((row) => cells[row]?.color === color).length;
    const places = colors.toSorted((a, b) => count(b) - count(a) || (a < b ? -1 : 1));
    const all = Uint32Array.from(cells.keys());
    const feeds = task.feeds(all);
    const want = cells.flatMap(({ x, z, color }) => [((Number.isNaN(x) ? median : x) - min) / (max - min), Number.isNaN(z) ? -2 : z, Number.isNaN(z) ? 1 : 0, color === "" ? 0 : places.indexOf(color)]);
    const got = feeds["x"]?.data as Float32Array;
    assert.deepEqual(feeds["x"]?.shape, [120, 4]);
    for (const [index, value] of want.entries()) assert.ok(Math.abs((got[index] ?? NaN) - value) < 1e-5, `row ${Math.floor(index / 4)}, feature ${index % 4}: ${got[index]}, ${value} expected`);

    // The model gets the raw cells and answers what the network answers of the training's features.
    const { outputs } = await trainer.evaluate(feeds);
    const logits = outputs["logits"];
    assert.ok(logits);
    const session = await ort.InferenceSession.create((await task.pack(trainer.weights())).get("model.onnx") as Uint8Array, { intraOpNumThreads: 1 });
    const numbers = (name: "x" | "z"): ort.Tensor => new ort.Tensor("float32", Float32Array.from(cells, (cell) => cell[name]), [120, 1]);
    const { probabilities } = await session.run({ x: numbers("x"), z: numbers("z"), color: new ort.Tensor("string", cells.map(({ color }) => color), [120, 1]) });
    const served = probabilities?.data as Float32Array;
    (typedArrayOf(logits) as Float32Array).forEach((logit, row) => {
      const probability = 1 / (1 + Math.exp(-logit));
      assert.ok(Math.abs((served[2 * row + 1] ?? NaN) - probability) < 1e-6, `row ${row}: ${served[2 * row + 1]} served, ${probability} in training`);
    });
  });

  it("takes many different numbers for a number to be met, and few whole ones for classes", async () => {
    const numbers = await readTask(csvJob({ x: "numeric", z: "numeric", target: "numeric" }, linearRows(50)));
    const classes = await readTask(csvJob({ x: "numeric", target: "numeric" }, Array.from({ length: 50 }, (_, row) => [row, row % 3])));

    assert.ok("targets" in numbers.feeds(numbers.trainingRows.subarray(0, 1)));
    assert.ok("labels" in classes.feeds(classes.trainingRows.subarray(0, 1)));
  });

  for (const names of [["Where_1", "const_0"], ["layers.0.weight", "IsNaN_1"], ["probabilities", "label"]] as const) {
    it(`serves columns named ${names.join(" and ")} under their names`, async () => {
      const { files } = await trainTask(separable({ epochCount: 5 }, names));

      const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array);
      assert.deepEqual(session.inputNames, names);
      assert.deepEqual(session.outputNames, names[0] === "probabilities" ? ["predicted_probabilities", "predicted_label"] : ["probabilities", "label"]);
    });
  }

  it("gives the same bytes for the same seed and others for another", async () => {
    const bytes = async (seed: number): Promise<Uint8Array | undefined> => (await trainTask(separable({ epochCount: 2, seed }))).files.get("model.onnx");

    assert.deepEqual(await bytes(7), await bytes(7));
    assert.notDeepEqual(await bytes(7), await bytes(8));
  });

  it("leaves out rows without a target and says so", async () => {
    const task = await readTask(csvJob({ x: "numeric", target: "categorical" }, Array.from({ length: 40 }, (_, row) => [row, row % 4 === 0 ? "" : row % 2 === 0 ? "a" : "b"])));

    assert.equal(task.trainingRows.length + task.validationRows.length, 30);
    assert.deepEqual(task.warnings, ["10 of 40 rows have no target and are left out"]);
  });

  it("judges groups by themselves at the end", async () => {
    const { evaluation } = await trainTask(separable({ epochCount: 2, validationFraction: 0.5 }));

    assert.deepEqual(evaluation.slices.filter(({ column }) => column === "color").map(({ value }) => value).sort(), ["blau", "rot"]);
  });
});

describe("tables that teach nothing", () => {
  const numbers = Array.from({ length: 40 }, (_, row) => row);
  const cases: readonly { readonly what: string; readonly input: () => AttemptInput; readonly reason: Reason; readonly says: RegExp }[] = [
    { what: "one class", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, "a"])), reason: "TARGET_UNSUITABLE", says: /every row of column "target" has the class "a"/ },
    { what: "a target without values", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, ""])), reason: "TARGET_UNSUITABLE", says: /column "target" has no value in any row/ },
    { what: "a constant number", input: () => csvJob({ x: "numeric", target: "numeric" }, numbers.map((row) => [row, 4]), { family: "linear_regression" }), reason: "TARGET_UNSUITABLE", says: /column "target" is 4 in every row/ },
    { what: "a column without values", input: () => csvJob({ x: "numeric", y: "numeric", target: "categorical" }, numbers.map((row) => [row, "", row % 2 === 0 ? "a" : "b"])), reason: "COLUMN_UNSUITABLE", says: /column "y" has no value in any row/ },
    { what: "a batch larger than the data", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, row % 2 === 0 ? "a" : "b"]), { batchSize: 64 }), reason: "FIELD_INVALID", says: /batch_size is 64, and only 32 rows are trained on/ },
    { what: "a class that no row has", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, row % 2 === 0 ? "a" : "b"]), { positiveClass: "c" }), reason: "TARGET_UNSUITABLE", says: /no row of column "target" has the class "c"/ },
    { what: "a weight for a class that there is not", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, row % 2 === 0 ? "a" : "b"]), { classWeights: { c: 2 } }), reason: "FIELD_INVALID", says: /class_weights names "c"/ },
    { what: "three classes for logistic regression", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, "abc"[row % 3] ?? ""]), { family: "logistic_regression" }), reason: "FIELD_INVALID", says: /tells two classes apart, and the target has 3/ },
    { what: "a text for linear regression", input: () => csvJob({ x: "numeric", target: "categorical" }, numbers.map((row) => [row, row % 2 === 0 ? "a" : "b"]), { family: "linear_regression" }), reason: "FIELD_INVALID", says: /"target" is categorical, and linear regression needs a number/ },
    { what: "a number that is none", input: () => csvJob({ x: "numeric", target: "numeric" }, numbers.map((row) => [row === 17 ? "1e999" : row, row / 7])), reason: "DATASET_MALFORMED", says: /line 19, column 1|row 18|line 19/ },
  ];
  for (const { what, input, reason, says } of cases) it(`are refused: ${what}`, () => assert.rejects(async () => readTask(input()), refused(reason, says)));
});
