import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import ort from "onnxruntime-node";
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, ModelProtoSchema, NodeProtoSchema, type ModelProto } from "../gen/onnx/onnx_pb.js";
import { Graph, GraphError, add, buildModel, importGraph, readModel, type Value } from "../index.ts";

/** A model of one node that an old exporter wrote: operands as attributes. */
function oldModel(opset: number, opType: string, attributes: Readonly<Record<string, number | readonly number[]>>, shape: readonly number[]): ModelProto {
  const graph = new Graph();
  const x = graph.input("x", "FP32", shape);
  const model = readModel(buildModel({ graph, outputs: { y: graph.node("Identity", [x], { datatype: "FP32", shape: ["?"] }) } }));
  const node = create(NodeProtoSchema, {
    opType,
    input: ["x"],
    output: ["y"],
    attribute: Object.entries(attributes).map(([name, value]) =>
      typeof value === "number" ? create(AttributeProtoSchema, Number.isInteger(value) ? { name, type: AttributeType.INT, i: BigInt(value) } : { name, type: AttributeType.FLOAT, f: value }) : create(AttributeProtoSchema, value.every(Number.isInteger) && name !== "scales" ? { name, type: AttributeType.INTS, ints: value.map(BigInt) } : { name, type: AttributeType.FLOATS, floats: [...value] }),
    ),
  });
  model.opsetImport = model.opsetImport.map((each) => ({ ...each, version: BigInt(opset) }));
  if (model.graph !== undefined) model.graph.node = [node];
  return fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model));
}

async function run(bytes: Uint8Array, shape: readonly number[]): Promise<number[]> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const size = shape.reduce((product, each) => product * each, 1);
  const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.from({ length: size }, (_, index) => Math.sin(index * 1.3) * 2), [...shape]) });
  return Array.from(y?.data as Float32Array);
}

describe("importing a model into a graph", () => {
  const cases = [
    { opset: 11, opType: "ReduceSum", attributes: { axes: [1], keepdims: 0 }, shape: [2, 3] },
    { opset: 13, opType: "ReduceMean", attributes: { axes: [-1] }, shape: [2, 3] },
    { opset: 11, opType: "Squeeze", attributes: { axes: [0] }, shape: [1, 3] },
    { opset: 11, opType: "Unsqueeze", attributes: { axes: [0, 2] }, shape: [3] },
    { opset: 11, opType: "Softmax", attributes: { axis: 1 }, shape: [2, 3] },
    { opset: 7, opType: "Softmax", attributes: {}, shape: [2, 3, 1, 1] },
    { opset: 11, opType: "LogSoftmax", attributes: { axis: 1 }, shape: [2, 3, 4] },
    { opset: 11, opType: "Hardmax", attributes: { axis: 1 }, shape: [2, 3, 4] },
    { opset: 11, opType: "Hardmax", attributes: { axis: 2 }, shape: [2, 3, 4] },
    { opset: 11, opType: "ReduceMax", attributes: { axes: [0, -1] }, shape: [2, 3, 4] },
    { opset: 13, opType: "ReduceLogSumExp", attributes: { axes: [1], keepdims: 0 }, shape: [2, 3] },
    { opset: 17, opType: "ReduceL2", attributes: { axes: [-1] }, shape: [2, 3] },
    { opset: 11, opType: "Split", attributes: { split: [3], axis: 1 }, shape: [2, 3] },
    { opset: 7, opType: "Flatten", attributes: { axis: 2 }, shape: [2, 3, 4] },
    { opset: 10, opType: "Clip", attributes: { min: -0.5, max: 0.25 }, shape: [5] },
    { opset: 9, opType: "Slice", attributes: { starts: [1, 0], ends: [9, -1], axes: [0, 1] }, shape: [3, 4] },
    { opset: 10, opType: "Pad", attributes: { pads: [1, 0, 0, 2], value: 0.5 }, shape: [2, 2] },
    { opset: 9, opType: "Dropout", attributes: { ratio: 0.5 }, shape: [3] },
    { opset: 8, opType: "Upsample", attributes: { scales: [1, 1, 2, 2] }, shape: [1, 1, 2, 2] },
  ];
  for (const { opset, opType, attributes, shape } of cases) {
    it(`brings ${opType} of opset ${opset} to today's form`, async () => {
      const model = oldModel(opset, opType, attributes, shape);
      const { graph, outputs } = importGraph(model);

      const today = await run(buildModel({ graph, outputs: { y: outputs.get("y") as Value } }), shape);

      assert.deepEqual(today, await run(toBinary(ModelProtoSchema, model), shape));
    });
  }

  it("puts other values in the place of inputs and of what nodes give", async () => {
    const source = new Graph();
    const x = source.input("x", "FP32", [2]);
    const doubled = source.node("Add", [x, x], { datatype: "FP32", shape: [2], name: "doubled" });
    const bytes = buildModel({ graph: source, outputs: { z: source.node("Neg", [doubled], { datatype: "FP32", shape: [2] }) } });
    const graph = new Graph();
    const given = graph.input("x", "FP32", [2]);
    const one = graph.constant("FP32", [], [1]);

    const { outputs } = importGraph(readModel(bytes), { graph, inputs: { x: add(graph, given, one) }, substitute: (name, value) => (name === "doubled" ? add(graph, value, graph.constant("FP32", [], [100])) : value) });
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { z: outputs.get("z") as Value } }));

    const { z } = await session.run({ x: new ort.Tensor("float32", [1, 2], [2]) });
    assert.deepEqual(Array.from(z?.data as Float32Array), [-104, -106]);
  });

  it("names the node that it cannot take", () => {
    assert.throws(() => importGraph(oldModel(13, "If", {}, [2])), (error) => error instanceof GraphError && /"y" \(If\).*then_branch/.test(error.message));
    assert.throws(() => importGraph(oldModel(13, "StringNormalizer", {}, [2])), (error) => error instanceof GraphError && error.message.includes("StringNormalizer"));
  });
});
