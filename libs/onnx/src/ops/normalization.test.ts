import assert from "node:assert/strict";
import { describe, it } from "node:test";
import ort from "onnxruntime-node";
import { Graph, buildModel, trainingBatchNormalization } from "../index.ts";

describe("batch normalisation in training mode", () => {
  it("gives the batch's statistics and leaves the running ones that it is fed as they are", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [4, 1]);
    const channel = (name: string) => graph.input(name, "FP32", [1]);
    const statistics = { scale: channel("scale"), bias: channel("bias"), mean: channel("mean"), variance: channel("variance") };
    const batch = trainingBatchNormalization(graph, x, statistics, { epsilon: 0 });
    const fed = (values: readonly number[], shape: readonly number[]) => new ort.Tensor("float32", Float32Array.from(values), [...shape]);
    const feeds = { x: fed([1, 2, 3, 6], [4, 1]), scale: fed([2], [1]), bias: fed([1], [1]), mean: fed([5], [1]), variance: fed([7], [1]) };

    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { y: batch.output, m: batch.mean, v: batch.variance } }), { intraOpNumThreads: 1 });
    const { y, m, v } = await session.run(feeds);

    assert.deepEqual([m?.data[0], v?.data[0]], [3, 3.5]);
    assert.ok(Math.abs(Number(y?.data[3]) - (1 + (2 * 3) / Math.sqrt(3.5))) < 1e-6);
    assert.deepEqual([feeds.mean.data[0], feeds.variance.data[0]], [5, 7]);
  });
});
