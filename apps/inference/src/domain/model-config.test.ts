import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { modelConfigOf, type Signature } from "./model-config.ts";

const signature: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [-1, 3] }], outputs: [{ name: "y", datatype: "INT64", shape: [-1] }] };

describe("model configuration", () => {
  it("follows from the graph, with whole shapes while the model does not batch", () => {
    const config = modelConfigOf("m", signature);

    assert.deepEqual([config.name, config.backend, config.maxBatchSize], ["m", "onnxruntime", 0]);
    assert.deepEqual(config.input[0]?.dims, [-1n, 3n]);
  });

  it("takes the deployment's settings over the version's, numbers as text too, and drops the batch dimension", () => {
    const config = modelConfigOf("m", signature, '{"max_batch_size": 4, "parameters": {"a": {"string_value": "b"}}}', '{"max_batch_size": "16"}');

    assert.equal(config.maxBatchSize, 16);
    assert.equal(config.parameters["a"]?.stringValue, "b");
    assert.deepEqual([config.input[0]?.dims, config.output[0]?.dims], [[3n], []]);
  });

  for (const settings of ['{"max_batch_size": "many"}', '{"input": 5}']) {
    it(`refuses ${settings}`, () => assert.throws(() => modelConfigOf("m", signature, settings), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID"));
  }

  it("refuses batches of a graph whose first dimension is fixed", () => {
    const fixed: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [1, 3] }], outputs: [] };

    assert.throws(() => modelConfigOf("m", fixed, '{"max_batch_size": 4}'), /"x" has no variable first dimension/);
  });
});
