import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toJson, type JsonObject } from "@bufbuild/protobuf";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { clientSignatureOf, modelConfigOf } from "./model-config.ts";
import type { Signature } from "./signature.ts";

const signature: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [-1, 3] }], outputs: [{ name: "y", datatype: "INT64", shape: [-1] }] };
const json = (of: Signature, ...settings: string[]): JsonObject => toJson(ModelConfigSchema, modelConfigOf("m", of, ...settings), { useProtoFieldName: true }) as JsonObject;

describe("model configuration", () => {
  it("follows from the graph, with whole shapes while the model does not batch", () => {
    assert.deepEqual(json(signature), {
      name: "m",
      platform: "onnxruntime_onnx",
      backend: "onnxruntime",
      default_model_filename: "model.onnx",
      version_policy: { latest: { num_versions: 1 } },
      input: [{ name: "x", data_type: "TYPE_FP32", dims: ["-1", "3"] }],
      output: [{ name: "y", data_type: "TYPE_INT64", dims: ["-1"] }],
      instance_group: [{ name: "m", kind: "KIND_CPU", count: 1 }],
      optimization: { input_pinned_memory: { enable: true }, output_pinned_memory: { enable: true } },
    });
  });

  it("drops the batch dimension, batches dynamically and reshapes single elements when only a batch size is said", () => {
    const config = json(signature, '{"max_batch_size": "16"}');

    assert.deepEqual([config["max_batch_size"], config["dynamic_batching"]], [16, { preferred_batch_size: [16] }]);
    assert.deepEqual([config["input"], config["output"]], [
      [{ name: "x", data_type: "TYPE_FP32", dims: ["3"] }],
      [{ name: "y", data_type: "TYPE_INT64", dims: ["1"], reshape: {} }],
    ]);
    assert.deepEqual(clientSignatureOf(modelConfigOf("m", signature, '{"max_batch_size": 16}')), {
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 3] }],
      outputs: [{ name: "y", datatype: "INT64", shape: [-1, 1] }],
    });
  });

  it("takes the deployment's settings over the version's, a zero, another scheduler and single parameters too", () => {
    const version = '{"max_batch_size": 4, "dynamic_batching": {}, "parameters": {"a": {"string_value": "1"}, "b": {"string_value": "1"}}}';
    const deployment = '{"maxBatchSize": 0, "sequence_batching": {"direct": {}}, "parameters": {"b": {"stringValue": "2"}}}';

    const config = json(signature, version, deployment);

    assert.equal(config["max_batch_size"], undefined);
    assert.equal(config["dynamic_batching"], undefined);
    assert.deepEqual(config["sequence_batching"], { direct: {}, max_sequence_idle_microseconds: "1000000" });
    assert.deepEqual(config["parameters"], { a: { string_value: "1" }, b: { string_value: "2" } });
  });

  it("completes an imported model that can batch as Triton does", () => {
    const config = json({ inputs: signature.inputs, outputs: [{ name: "y", datatype: "FP32", shape: [-1, 2] }] }, '{"parameters": {"servable.autocomplete": {"string_value": "triton"}}}');

    assert.deepEqual([config["max_batch_size"], config["dynamic_batching"]], [4, { preferred_batch_size: [4] }]);
  });

  it("leaves control inputs and states out of what callers send and get", () => {
    const graph: Signature = {
      inputs: ["x", "start", "state_in"].map((name) => ({ name, datatype: "FP32", shape: [-1, 1] })),
      outputs: ["y", "state_out"].map((name) => ({ name, datatype: "FP32", shape: [-1, 1] })),
    };
    const settings = '{"max_batch_size": 2, "sequence_batching": {"oldest": {}, "control_input": [{"name": "start", "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0, 1]}]}], "state": [{"input_name": "state_in", "output_name": "state_out", "data_type": "TYPE_FP32", "dims": [1]}]}}';

    const { inputs, outputs } = clientSignatureOf(modelConfigOf("m", graph, settings));

    assert.deepEqual([inputs.map(({ name }) => name), outputs.map(({ name }) => name)], [["x"], ["y"]]);
  });

  it("keeps the order and the narrower sizes of a configuration that names its tensors", () => {
    const graph: Signature = { inputs: [{ name: "a", datatype: "FP32", shape: [-1, -1] }, { name: "b", datatype: "FP32", shape: [-1, 4] }], outputs: [{ name: "y", datatype: "FP32", shape: [-1, 2, 2] }, { name: "z", datatype: "FP32", shape: [-1] }] };
    const settings = '{"max_batch_size": 8, "input": [{"name": "b", "data_type": "TYPE_FP32", "dims": [2, 2], "reshape": {"shape": [4]}}, {"name": "a", "data_type": "TYPE_FP32", "dims": [16]}], "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [4], "reshape": {"shape": [2, 2]}, "label_filename": "labels.txt"}]}';

    const config = modelConfigOf("m", graph, settings);

    assert.deepEqual(clientSignatureOf(config), { inputs: [{ name: "b", datatype: "FP32", shape: [-1, 2, 2] }, { name: "a", datatype: "FP32", shape: [-1, 16] }], outputs: [{ name: "y", datatype: "FP32", shape: [-1, 4] }] });
    assert.deepEqual([config.output[0]?.labelFilename, config.schedulingChoice.case], ["labels.txt", undefined]);
  });

  it("takes a graph for single pictures whose batch dimension callers do not see, as Triton's DenseNet example has it", () => {
    const graph: Signature = { inputs: [{ name: "data_0", datatype: "FP32", shape: [1, 3, 224, 224] }], outputs: [{ name: "fc6_1", datatype: "FP32", shape: [1, 1000, 1, 1] }] };
    const settings = '{"max_batch_size": 0, "input": [{"name": "data_0", "data_type": "TYPE_FP32", "format": "FORMAT_NCHW", "dims": [3, 224, 224], "reshape": {"shape": [1, 3, 224, 224]}}], "output": [{"name": "fc6_1", "data_type": "TYPE_FP32", "dims": [1000], "reshape": {"shape": [1, 1000, 1, 1]}, "label_filename": "densenet_labels.txt"}]}';

    const { inputs, outputs } = clientSignatureOf(modelConfigOf("densenet_onnx", graph, settings), graph);

    assert.deepEqual([inputs[0]?.shape, outputs[0]?.shape], [[3, 224, 224], [1000]]);
  });

  it("describes an ensemble by its own inputs and outputs", () => {
    const config = json({ inputs: [], outputs: [] }, '{"platform": "ensemble", "max_batch_size": 1, "input": [{"name": "i", "data_type": "TYPE_STRING", "dims": [1]}], "output": [{"name": "o", "data_type": "TYPE_FP32", "dims": [-1]}], "ensemble_scheduling": {"step": [{"model_name": "n", "model_version": -1}]}}');

    assert.deepEqual([config["platform"], config["backend"], config["instance_group"], config["optimization"]], ["ensemble", undefined, undefined, undefined]);
  });

  const x = '"name": "x", "data_type": "TYPE_FP32"';
  const y = '"output": [{"name": "y", "data_type": "TYPE_INT64", "dims": [-1]}]';
  const mistakes = [
    ['{"max_batch_size": "many"}', "max_batch_size"],
    ['{"max_batch_size": -1}', "max_batch_size"],
    ['{"input": 5}', "input"],
    ['{"max_bach_size": 5}', "max_bach_size"],
    ["[1]", "serving_config_json"],
    ["{", "serving_config_json"],
    [`{"input": [{"name": "q", "data_type": "TYPE_FP32", "dims": [3]}], ${y}}`, "input[0].name"],
    [`{"input": [{"name": "x", "data_type": "TYPE_INT8", "dims": [-1, 3]}], ${y}}`, "input[0].data_type"],
    [`{"input": [{"name": "x", "dims": [-1, 3]}], ${y}}`, "input[0].data_type"],
    [`{"input": [{${x}, "dims": [-1, 4]}], ${y}}`, "input[0].dims"],
    [`{"input": [{${x}, "dims": [-2, 3]}], ${y}}`, "input[0].dims"],
    [`{"input": [{${x}, "dims": [3]}], ${y}}`, "input[0].dims"],
    [`{"input": [{${x}, "dims": [2, 3], "reshape": {"shape": [5]}}], ${y}}`, "input[0].reshape"],
    [`{"input": [{${x}, "dims": [-1, 3], "reshape": {"shape": [3, -1]}}], ${y}}`, "input[0].reshape"],
    [`{"input": [{${x}, "dims": [-1, 3], "format": "FORMAT_NHWC"}], ${y}}`, "input[0].format"],
    ['{"output": [{"name": "q", "data_type": "TYPE_FP32", "dims": [3]}]}', "output[0].name"],
    ['{"max_batch_size": 4, "dynamic_batching": {"preferred_batch_size": [8]}}', "dynamic_batching.preferred_batch_size"],
    ['{"max_batch_size": 4, "dynamic_batching": {"priority_levels": 2}}', "dynamic_batching.default_priority_level"],
    ['{"max_batch_size": 4, "dynamic_batching": {"priority_levels": 2, "default_priority_level": 1, "preserve_ordering": true}}', "dynamic_batching.preserve_ordering"],
    ['{"max_batch_size": 4, "sequence_batching": {"control_input": [{"name": "START"}]}}', "sequence_batching.control_input[0].name"],
    ['{"ensemble_scheduling": {}}', "ensemble_scheduling.step"],
  ] as const;
  for (const [settings, field] of mistakes) {
    it(`refuses ${settings}, naming ${field}`, () => assert.throws(() => modelConfigOf("m", signature, settings), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && (assert.equal(error.metadata["field"], field), true)));
  }

  it("refuses batches of a graph whose first dimension is fixed", () => {
    const fixed: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [1, 3] }], outputs: [] };

    assert.throws(() => modelConfigOf("m", fixed, '{"max_batch_size": 4}'), /"x" has no variable first dimension/);
  });
});
