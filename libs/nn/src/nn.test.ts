import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, buildModel, type Value } from "@servable/onnx";
import fc from "fast-check";
import ort from "onnxruntime-node";
import { binaryCrossEntropy, glorotUniform, heUniform, initMlp, mlp, randomStream, softmaxCrossEntropy } from "./index.ts";

/** Runs a graph of f32 inputs and answers its output's numbers. */
async function run(build: (graph: Graph) => Value, inputs: Readonly<Record<string, { dims: number[]; values: number[] }>>): Promise<number[]> {
  const graph = new Graph();
  const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { y: build(graph) } }));
  const { y } = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, { dims, values }]) => [name, new ort.Tensor("float32", values, dims)])));
  return Array.from(y?.data as Float32Array);
}
const close = (got: number, want: number): void => assert.ok(Math.abs(got - want) < 1e-5, `${got} is not ${want}`); // f32, few terms

describe("losses", () => {
  const logits = [2, -1, 40, -40];
  const targets = [1, 0, 0, 1];

  it("binary cross-entropy is the mean of -log p of the true class, also where p is almost 0", async () => {
    const [loss = NaN] = await run((graph) => binaryCrossEntropy(graph, graph.input("z", "FP32", ["n", 1]), graph.input("t", "FP32", ["n", 1])), { z: { dims: [4, 1], values: logits }, t: { dims: [4, 1], values: targets } });

    close(loss, logits.map((z, row) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0) - z * (targets[row] ?? 0)).reduce((a, b) => a + b) / 4);
  });

  it("softmax cross-entropy is the mean of -log p of the true class", async () => {
    const z = [[1, 2, 3], [100, 0, 0]];
    const [loss = NaN] = await run((graph) => softmaxCrossEntropy(graph, graph.input("z", "FP32", ["n", 3]), graph.input("t", "FP32", ["n", 3])), { z: { dims: [2, 3], values: z.flat() }, t: { dims: [2, 3], values: [0, 0, 1, 1, 0, 0] } });

    close(loss, (Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3)) - 3) / 2);
  });
});

describe("multi-layer perceptron", () => {
  it("computes relu layers and then logits", async () => {
    const parameters = [[1, -1, 2, 0], [0.5, 0], [1, 3], [-1]];
    const got = await run(
      (graph) => {
        const x = graph.input("x", "FP32", ["n", 2]);
        const shapes = [[2, 2], [2], [2, 1], [1]];
        return mlp(graph, x, parameters.map((values, index) => graph.constant("FP32", shapes[index] ?? [], values)));
      },
      { x: { dims: [2, 2], values: [1, 1, -1, -2] } },
    );

    // [1,1]: hidden relu(1+2+0.5, -1+0) = [3.5, 0] → 3.5 - 1; [-1,-2]: relu(-1-4+0.5, 1) = [0, 1] → 3 - 1
    assert.deepEqual(got, [2.5, 2]);
  });

  it("begins with the same parameters for the same seed, weights within their bound and biases zero", () => {
    const shape = { inputs: 6, hidden: [4], outputs: 2 };
    const [w0, b0, w1] = initMlp(shape, 1);

    assert.deepEqual(initMlp(shape, 1), initMlp(shape, 1));
    assert.notDeepEqual(w0?.values, initMlp(shape, 2)[0]?.values);
    assert.ok(w0?.values.every((value) => Math.abs(value) <= Math.sqrt(6 / 6)));
    assert.ok(w1?.values.every((value) => Math.abs(value) <= Math.sqrt(6 / (4 + 2))));
    assert.deepEqual(b0?.values, new Float32Array(4));
  });

  it("draws weights with the variance of the papers", () => {
    const variance = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0) / values.length;

    // 250,000 draws: the sample variance is within 1 % of the true one.
    assert.ok(Math.abs(variance(heUniform(500, 500, randomStream(3, "he"))) / (2 / 500) - 1) < 0.01);
    assert.ok(Math.abs(variance(glorotUniform(500, 500, randomStream(3, "glorot"))) / (2 / 1_000) - 1) < 0.01);
  });
});

describe("random streams", () => {
  it("repeat for a seed and name, and differ for another name", () => {
    const draw = (seed: number, name: string): number[] => {
      const stream = randomStream(seed, name);
      return Array.from({ length: 5 }, () => stream.uniform());
    };

    assert.deepEqual(draw(1, "a"), draw(1, "a"));
    assert.notDeepEqual(draw(1, "a"), draw(1, "b"));
  });

  it("permute every index once", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 200 }), fc.integer(), (count, seed) => assert.deepEqual([...randomStream(seed, "p").permutation(count)].sort((a, b) => a - b), [...Array(count).keys()])));
  });
});
