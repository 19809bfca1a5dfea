import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, GraphError, buildModel, mul, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { gradients } from "./index.ts";

describe("gradients", () => {
  it("add up where a value is used twice, and are zeros where the loss does not depend on it", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [2]);
    const unused = graph.input("u", "FP32", [3]);
    const loss = reduceSum(graph, mul(graph, x, x), [0]);
    const [dx, du] = gradients(graph, loss, [x, unused]);
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { dx: dx as Value, du: du as Value } }));

    const { dx: gotX, du: gotU } = await session.run({ x: new ort.Tensor("float32", [3, -4], [2]), u: new ort.Tensor("float32", [1, 1, 1], [3]) });

    assert.deepEqual([Array.from(gotX?.data as Float32Array), Array.from(gotU?.data as Float32Array)], [[6, -8], [0, 0, 0]]);
  });

  it("stop at whole numbers and shapes", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [3]);
    const rounded = graph.node("Cast", [graph.node("Cast", [x], { datatype: "INT64", shape: [3] }, { to: 7 })], { datatype: "FP32", shape: [3] }, { to: 1 });
    const [dx] = gradients(graph, reduceSum(graph, mul(graph, x, rounded), [0]), [x]);
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { dx: dx as Value } }));

    const results = await session.run({ x: new ort.Tensor("float32", [3.5, -4.2, 0.1], [3]) });

    assert.deepEqual(Array.from(results["dx"]?.data as Float32Array), [3, -4, 0]);
  });

  it("name the operator that has no rule, and refuse a loss that is no scalar", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [1]);

    assert.throws(() => gradients(graph, graph.node("Mod", [x, x], { datatype: "FP32", shape: [1] }, { fmod: 1 }), [x]), /Mod has no gradient rule/);
    assert.throws(() => gradients(graph, graph.input("v", "FP32", [2]), [x]), GraphError);
  });
});
