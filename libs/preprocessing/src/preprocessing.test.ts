import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, buildModel } from "@servable/onnx";
import ort from "onnxruntime-node";
import { classOutputs, f32Text, imageInput } from "./index.ts";

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

describe("the text of an f32", () => {
  for (const { value, want } of [
    { value: 0.1, want: "0.1" },
    { value: 39.1, want: "39.1" },
    { value: 3, want: "3" },
    { value: -16_777_216, want: "-16777216" },
    { value: 1 / 3, want: "0.33333334" },
  ]) {
    it(`is ${want}`, () => assert.equal(f32Text(Math.fround(value)), want));
  }
});
