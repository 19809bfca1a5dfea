import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import ort from "onnxruntime-node";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Graph, GraphError, ModelProtoSchema, add, averagePool, buildModel, checkLimits, conv, gather, gelu, graphDigest, importGraph, knownOperators, layerNormalization, matMul, maxPool, printGraph, printModel, readModel, reduceMean, relu, replaceWeights, reshape, rmsNormalization, slice, softmax, split, splitWeights, topK, transpose, where, type Value } from "../src/index.ts";

function mistakeOf(work: () => unknown): GraphError {
  try {
    work();
  } catch (error) {
    if (error instanceof GraphError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

/** A model of one layer: y = relu(x·w + b). */
function layer(scale = 1, prefix = ""): { graph: Graph; y: Value } {
  const graph = new Graph(prefix);
  const x = graph.input("x", "FP32", ["batch", 2]);
  const w = graph.weight("w", tensorOf("FP32", [2, 3], [1, 2, 3, 4, 5, 6].map((value) => value * scale)));
  return { graph, y: relu(graph, add(graph, matMul(graph, x, w), graph.constant("FP32", [3], [0.5, -9, 1]))) };
}

describe("the types of authored values", () => {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", "tokens", 8]);
  const image = graph.input("image", "FP32", ["batch", 3, 9, 9]);
  const cases: readonly (readonly [string, () => Value, readonly (number | string)[]])[] = [
    ["a reshape with named sizes at their places", () => reshape(graph, x, ["batch", "tokens", 2, 4]), ["batch", "tokens", 2, 4]],
    ["a reshape that finds names elsewhere", () => reshape(graph, reshape(graph, x, [-1, 8]), ["batch", "tokens", 8], [x]), ["batch", "tokens", 8]],
    ["a transpose", () => transpose(graph, x, [1, 0, 2]), ["tokens", "batch", 8]],
    ["one part of a split", () => split(graph, x, [3, 5], -1)[1] as Value, ["batch", "tokens", 5]],
    ["a slice from behind", () => slice(graph, x, [{ axis: 2, start: -3 }]), ["batch", "tokens", 3]],
    ["a gather along an axis", () => gather(graph, x, graph.constant("INT64", [2], [0n, 1n]), 2), ["batch", "tokens", 2]],
    ["a convolution with a stride", () => conv(graph, image, graph.constant("FP32", [4, 3, 3, 3], new Array<number>(108).fill(1)), { strides: [2, 2], pads: [1, 1, 1, 1] }), ["batch", 4, 5, 5]],
    ["a pool with a rest", () => maxPool(graph, image, [2, 2], { strides: [2, 2] }), ["batch", 3, 4, 4]],
    ["a pool that rounds up", () => averagePool(graph, image, [2, 2], { strides: [2, 2], ceil: true }), ["batch", 3, 5, 5]],
    ["a mean over axes from behind", () => reduceMean(graph, x, [-1, 0], true), [1, "tokens", 1]],
    ["the largest few", () => topK(graph, x, 3).indices, ["batch", "tokens", 3]],
  ];
  for (const [what, make, shape] of cases) it(`are inferred: ${what}`, () => assert.deepEqual(make().shape, shape));

  it("raise the graph's opset where an operator is newer", () => {
    const newer = new Graph();
    rmsNormalization(newer, newer.input("x", "FP32", [2, 4]), newer.input("s", "FP32", [4]));

    assert.equal(newer.opset, 23);
  });
});

describe("mistakes in a graph", () => {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", 3]);
  const ids = graph.input("ids", "INT64", ["batch"]);
  const mistakes: readonly (readonly [string, () => unknown, RegExp])[] = [
    ["sizes that do not fit", () => matMul(graph, x, graph.input("m", "FP32", [4, 2])), /MatMul\(x: FP32\[batch, 3\]; m: FP32\[4, 2\]\): the inner sizes differ: 3 and 4/],
    ["datatypes that do not mix", () => add(graph, x, ids), /Add.*FP32 and INT64 do not mix: cast/],
    ["a condition that is none", () => where(graph, x, x, x), /Where.*condition is FP32, a BOOL is needed/],
    ["indices that are floats", () => gather(graph, x, x), /Gather.*indices are FP32/],
    ["axes that are not there", () => transpose(graph, x, [0, 2]), /Transpose.*\[0,2\] is no order of 2 axes/],
    ["numbers of elements that differ", () => reshape(graph, graph.input("r", "FP32", [2, 3]), [4, 2]), /Reshape of \[2,3\] to \[4,2\]/],
    ["names that nothing tells", () => reshape(graph, x, ["tokens", "heads", 3]), /nothing tells the size of "tokens"/],
    ["channels that do not fit", () => conv(graph, graph.input("i", "FP32", [1, 3, 8, 8]), graph.input("k", "FP32", [4, 2, 3, 3])), /x has 3 channels, the weight takes 2/],
  ];
  for (const [what, make, message] of mistakes) {
    it(`are errors at the line that made them: ${what}`, () => {
      const error = mistakeOf(make);

      assert.match(error.message, message);
      assert.match(error.site ?? "", /graph\.test\.ts:\d+:\d+$/);
    });
  }
});

describe("the digest of a graph", () => {
  it("is the same for the same graph, whoever wrote the file", () => {
    const { graph, y } = layer();
    const bytes = buildModel({ graph, outputs: { y } });
    const rewritten = readModel(bytes);
    rewritten.producerName = "somebody else";
    for (const node of rewritten.graph?.node ?? []) node.name = "n";
    const [weight] = rewritten.graph?.initializer ?? [];
    if (weight !== undefined) {
      weight.floatData = [1, 2, 3, 4, 5, 6];
      weight.rawData = new Uint8Array();
    }

    assert.equal(graphDigest({ graph, outputs: { y } }), graphDigest(bytes));
    assert.equal(graphDigest(rewritten), graphDigest(bytes));
    assert.equal(graphDigest(buildModel({ ...layer(), outputs: { y: layer().y } })).length, 64);
  });

  it("is another one for other weights", () => {
    const [one, two] = [1, 2].map((scale) => layer(scale)).map(({ graph, y }) => graphDigest({ graph, outputs: { y } }));

    assert.notEqual(one, two);
  });

  it("does not hang on the order in which attributes were written", () => {
    const digest = (attributes: Readonly<Record<string, number>>): string => {
      const graph = new Graph();
      const x = graph.input("x", "FP32", [2, 2]);
      return graphDigest({ graph, outputs: { y: graph.node("Gemm", [x, x], { datatype: "FP32", shape: [2, 2] }, attributes) } });
    };

    assert.equal(digest({ transA: 1, transB: 0 }), digest({ transB: 0, transA: 1 }));
  });
});

describe("weights", () => {
  const x = (values: readonly number[]) => ({ x: new ort.Tensor("float32", Float32Array.from(values), [1, 2]) });

  it("in a file of their own give the same answers, in onnxruntime and imported", async () => {
    using directory = tempDir();
    const { graph, y } = layer();
    const inline = buildModel({ graph, outputs: { y } });
    const { model, data } = splitWeights(readModel(inline), "weights.bin", 1);
    const file = Buffer.concat(data);
    writeFileSync(join(directory.path, "weights.bin"), file);
    writeFileSync(join(directory.path, "model.onnx"), model);

    const session = await ort.InferenceSession.create(join(directory.path, "model.onnx"));
    const imported = importGraph(readModel(model), { readExternal: ({ offsetBytes, lengthBytes }) => file.subarray(offsetBytes, offsetBytes + lengthBytes) });

    assert.deepEqual(Array.from((await session.run(x([1, 1])))["y"]?.data as Float32Array), [5.5, 0, 10]);
    checkLimits(readModel(model), undefined, new Map([["weights.bin", file.length]]));
    assert.equal(graphDigest({ graph: imported.graph, outputs: Object.fromEntries(imported.outputs) }), graphDigest(inline));
  });

  it("are replaced by others of their names and shapes", async () => {
    const { graph, y } = layer();
    const model = readModel(buildModel({ graph, outputs: { y } }));
    const patched = replaceWeights(model, new Map([["w", tensorOf("FP32", [2, 3], [0, 0, 0, 1, 1, 20])]]));

    const session = await ort.InferenceSession.create(toBinary(ModelProtoSchema, patched));

    assert.deepEqual(Array.from((await session.run(x([1, 1])))["y"]?.data as Float32Array), [1.5, 0, 21]);
    assert.throws(() => replaceWeights(model, new Map([["w", tensorOf("FP32", [1], [1])]])), /"w" has the shape \[2,3\], not \[1\]/);
    assert.throws(() => replaceWeights(model, new Map([["v", tensorOf("FP32", [1], [1])]])), /no weight "v"/);
  });
});

describe("printing", () => {
  it("shows types, attributes and small constants", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", ["batch", 4]);
    const y = softmax(graph, gelu(graph, layerNormalization(graph, x, graph.constant("FP32", [4], [1, 1, 1, 1]))));
    const text = printGraph(graph);

    assert.match(text, /^\(x: FP32\[batch, 4\]\)\n/);
    assert.match(text, /const_0: FP32\[4\] = FP32\[4\]\{1, 1, 1, 1\}/);
    assert.match(text, /Gelu_\d: FP32\[batch, 4\] = Gelu\(LayerNormalization_\d\) \{approximate = "none"\}/);
    assert.match(printModel(readModel(buildModel({ graph, outputs: { y } }))), /^\/\/ ai\.onnx@21\ngraph\(x: FP32\[batch, 4\]\) → \(y: FP32\[batch, 4\]\)[^]*y = Identity\(Softmax_\d\)|Softmax\(Gelu_\d\) \{axis = -1\}/);
  });
});

describe("the README", () => {
  it("names every operator that is known", () => {
    const words = new Set(readFileSync(new URL("../README.md", import.meta.url), "utf8").split(/\s+/));

    assert.deepEqual(knownOperators().filter((name) => !words.has(name)), []);
  });
});
