import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, buildModel } from "@servable/onnx";
import ort from "onnxruntime-node";
import { byFrequency, classOutputs, encodeCell, fitColumn, imageInput, tableInputs, widthOf } from "./index.ts";

const cells = {
  length: ["39.1", undefined, "46.5", "50", "41.25"],
  island: ["Torgersen", "Dream", undefined, "Dream", "Biscoe"],
  "with é": ["ja", "nein", "ja", "ja", undefined],
};

describe("a table's preprocessing", () => {
  it("gives in ONNX the numbers that training sees, missing and unseen cells included", async () => {
    const columns = [fitColumn("length", "numeric", cells.length), fitColumn("island", "categorical", cells.island), fitColumn("with é", "categorical", cells["with é"])];
    const graph = new Graph();
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { features: tableInputs(graph, columns, ["NA"]) } }));
    const rows = [...cells.length.keys()].map((row) => [cells.length[row], cells.island[row], cells["with é"][row]]);
    rows.push(["0", "Atlantis", "ja"]);
    const width = columns.reduce((sum, column) => sum + widthOf(column), 0);
    const expected = new Float32Array(rows.length * width);
    rows.forEach((row, index) => {
      let offset = index * width;
      columns.forEach((column, which) => {
        encodeCell(column, row[which], expected, offset);
        offset += widthOf(column);
      });
    });

    const texts = (which: number) => new ort.Tensor("string", rows.map((row, index) => row[which] ?? (index % 2 === 0 ? "" : "NA")), [rows.length, 1]);
    const { features } = await session.run({
      length: new ort.Tensor("float32", rows.map(([value]) => (value === undefined ? NaN : Number(value))), [rows.length, 1]),
      island: texts(1),
      "with é": texts(2),
    });

    assert.deepEqual(features?.data, expected);
  });

  it("learns a constant column without dividing by zero", () => assert.deepEqual(fitColumn("x", "numeric", ["2", "2"]), { name: "x", use: "numeric", mean: 2, deviation: 1 }));

  it("learns a column whose deviation is below the smallest f32 without dividing by zero", () => assert.equal((fitColumn("x", "numeric", ["1e-48", "3e-48"]) as { deviation: number }).deviation, 1));

  it("orders categories by frequency, then by the alphabet", () => assert.deepEqual(byFrequency(["b", "a", "c", "c"]), ["c", "a", "b"]));
});

describe("outputs", () => {
  for (const { classes, logits, want } of [
    { classes: ["no", "yes"], logits: [[2], [-2]], want: ["yes", "no"] },
    { classes: ["a", "b", "c"], logits: [[0, 5, 1], [3, 1, 2]], want: ["b", "a"] },
  ]) {
    it(`name the most probable of ${classes.join(", ")}`, async () => {
      const graph = new Graph();
      const x = graph.input("x", "FP32", ["batch", logits[0]?.length ?? 0]);
      const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { ...classOutputs(graph, x, classes) } }));

      const { probabilities, label } = await session.run({ x: new ort.Tensor("float32", logits.flat(), [logits.length, logits[0]?.length ?? 0]) });

      assert.deepEqual(label?.data, want);
      for (let row = 0; row < logits.length; row++) {
        const sum = (probabilities?.data as Float32Array).subarray(row * classes.length, (row + 1) * classes.length).reduce((a, b) => a + b);
        assert.ok(Math.abs(sum - 1) < 1e-6);
      }
    });
  }
});

describe("an image's preprocessing", () => {
  it("scales raw pixels and flattens them", async () => {
    const graph = new Graph();
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { features: imageInput(graph, [2, 2, 1]) } }));

    const { features } = await session.run({ image: new ort.Tensor("float32", [0, 51, 102, 255], [1, 2, 2, 1]) });

    assert.deepEqual([features?.dims, Array.from(features?.data as Float32Array, (value) => Math.round(value * 10))], [[1, 4], [0, 2, 4, 10]]);
  });
});
