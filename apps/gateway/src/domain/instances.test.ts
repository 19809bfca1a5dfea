import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { elementsOf, tensorOf } from "@servable/tensor";
import { tensorsOfInstances, type TensorHeader } from "./instances.ts";
import { predictionTexts } from "./predictions.ts";

const label = (index: number) => `instances[${index}]`;
const header = (shape: number[]): TensorHeader => ({ name: "x", datatype: "FP32", shape });

describe("instances", () => {
  const stacked = [
    { what: "vectors of a batch", shape: [-1, 2], instances: [[1, 2], [3, 4]], want: [2, 2] },
    { what: "single values of a batch without further dimensions", shape: [-1], instances: [1, 2, 3], want: [3] },
    { what: "plain values for dimensions of one", shape: [-1, 1, 1], instances: [1, 2], want: [2, 1, 1] },
    { what: "one example of a model exported for one", shape: [1, 3], instances: [[1, 2, 3]], want: [1, 3] },
    { what: "one example of a model without batch", shape: [3], instances: [[1, 2, 3]], want: [3] },
    { what: "examples of a variable length", shape: [-1, -1], instances: [[1, 2, 3], [4, 5, 6]], want: [2, 3] },
  ];
  for (const { what, shape, instances, want } of stacked) {
    it(`stack ${what}`, () => {
      const tensor = tensorsOfInstances([header(shape)], instances, label).get("x");

      assert.deepEqual(tensor?.shape, want);
      assert.deepEqual(elementsOf(tensor), instances.flat());
    });
  }

  const refused = [
    { what: "examples of different lengths", shape: [-1, -1], instances: [[1, 2], [3]], message: /instances\[1\]\.x has the shape \[1\], instances\[0\]\.x has \[2\]/ },
    { what: "two examples for a model that takes one", shape: [1, 3], instances: [[1, 2, 3], [1, 2, 3]], message: /takes one example a call, got 2/ },
    { what: "a list where a single value belongs", shape: [-1], instances: [[1]], message: /instances\[0\]\.x has shape \[1\], the model takes a single value/ },
  ];
  for (const { what, shape, instances, message } of refused) {
    it(`refuse ${what}`, () => {
      assert.throws(() => tensorsOfInstances([header(shape)], instances, label), (error: unknown) => error instanceof StatusError && error.reason === "SHAPE_MISMATCH" && message.test(error.message));
    });
  }
});

describe("predictions", () => {
  const output = (declared: number[], shape: number[]) => ({ header: header(declared), tensor: tensorOf("FP32", shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => index)) });
  const written = [
    { what: "a column as plain values", outputs: [output([-1, 1], [2, 1])], count: 2, want: ["0", "1"] },
    { what: "a list of variable length as a list, even of one", outputs: [output([-1, -1], [2, 1])], count: 2, want: ["[0]", "[1]"] },
    { what: "pictures as nested lists", outputs: [output([-1, 2, 2], [1, 2, 2])], count: 1, want: ["[[0,1],[2,3]]"] },
    { what: "the whole output of a model without batch", outputs: [output([3], [3])], count: 1, want: ["[0,1,2]"] },
  ];
  for (const { what, outputs, count, want } of written) {
    it(`write ${what}`, () => assert.deepEqual(predictionTexts(outputs, count), want));
  }

  it("refuse an output that does not go with the examples", () => {
    assert.throws(() => predictionTexts([output([-1], [3])], 2), (error: unknown) => error instanceof StatusError && error.reason === "INFERENCE_FAILED");
  });
});
