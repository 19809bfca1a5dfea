import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Graph, GraphError, buildModel, gather, matMul, mul, readModel, reduceMean, reduceSum, relu, type ModelProto } from "@servable/onnx";
import { tensorOf, type Tensor } from "@servable/tensor";
import { sharedAsset, skipWithout } from "@servable/testing";
import { baselineOf, buildIntegratedGradients, integrateGradients, type Explanation, type IntegratedGradientsOptions } from "../src/index.ts";
import { NETWORK, networkModel, runnerOf } from "./network.ts";

interface Case {
  readonly model: ModelProto;
  readonly example: Readonly<Record<string, Tensor>>;
  readonly baselines: Readonly<Record<string, Tensor | "zero">>;
  readonly target: number;
  readonly steps?: number;
  readonly options?: IntegratedGradientsOptions;
}

async function explain({ model, options = {}, ...rest }: Case): Promise<Explanation & { readonly steps: number }> {
  const graph = buildIntegratedGradients(model, options);
  return integrateGradients(graph, { ...rest, run: await runnerOf(graph.bytes) });
}

const row = (values: readonly number[]): Tensor => tensorOf("FP32", [1, values.length], values);
const ids = (values: readonly number[]): Tensor => tensorOf("INT64", [1, values.length], values.map(BigInt));
const close = (got: ArrayLike<number> | undefined, want: readonly number[], tolerance: number): void => {
  assert.equal(got?.length, want.length);
  for (const [index, value] of want.entries()) assert.ok(Math.abs((got?.[index] ?? NaN) - value) <= tolerance, `element ${index}: ${got?.[index]}, wanted ${value}`);
};

describe("Integrated Gradients", () => {
  it("agree with a second implementation", async () => {
    const found = await explain({ model: networkModel(), example: { x: row(NETWORK.x) }, baselines: { x: row(NETWORK.baseline) }, target: NETWORK.target, steps: 20 });

    close(found.attributions[0]?.values, NETWORK.integratedGradients, 1e-5); // f32 sums of 20 points
    close([found.prediction, found.baselinePrediction], [NETWORK.prediction, NETWORK.baselinePrediction], 1e-6);
    assert.ok(found.completenessError < 1e-5, String(found.completenessError));
  });

  for (const name of ["cnn", "text"] as const) {
    it(`agree with PyTorch's autograd on its exported ${name}, and say what is missing to add up`, async () => {
      const read = (extension: string): Buffer => readFileSync(new URL(`./goldens/${name}.${extension}`, import.meta.url));
      const golden = JSON.parse(read("json").toString()) as { readonly inputs: Readonly<Record<string, number[]>>; readonly target: number; readonly prediction: number; readonly baselinePrediction: number; readonly attributions: number[] };
      const { x = [], ids: tokens = [], mask = [] } = golden.inputs;
      const picture = tensorOf("FP32", [1, 1, 8, 8], name === "cnn" ? x : new Array<number>(64).fill(0));
      const asked = name === "cnn" ? { example: { x: picture }, baselines: { x: baselineOf("zeros", picture) }, options: { inputs: ["x"] } } : { example: { ids: ids(tokens), mask: ids(mask) }, baselines: { ids: ids(tokens.map(() => 0)) }, options: { inputs: ["ids"] } };

      const found = await explain({ ...asked, model: readModel(read("onnx")), target: golden.target, steps: 16 });

      close(found.attributions[0]?.values, golden.attributions, 1e-5);
      close([found.prediction, found.baselinePrediction], [golden.prediction, golden.baselinePrediction], 1e-5);
      const missing = golden.attributions.reduce((sum, value) => sum + value, 0) - (golden.prediction - golden.baselinePrediction);
      assert.ok(Math.abs(found.completenessError - Math.abs(missing)) < 1e-5, `${found.completenessError}, by PyTorch ${missing}`);
    });
  }

  it("give the same one point a run", async () => {
    const found = await explain({ model: networkModel(), example: { x: row(NETWORK.x) }, baselines: { x: row(NETWORK.baseline) }, target: NETWORK.target, steps: 20, options: { batched: false } });

    close(found.attributions[0]?.values, NETWORK.integratedGradients, 1e-5);
  });

  it("of a linear model are weight times difference, by a single point", async () => {
    const graph = new Graph();
    const weights = [2, -3, 0.5];
    const y = matMul(graph, graph.input("x", "FP32", ["n", 3]), graph.constant("FP32", [3, 1], weights));
    const found = await explain({ model: readModel(buildModel({ graph, outputs: { y } })), example: { x: row([1, 2, 4]) }, baselines: { x: row([0, 1, 1]) }, target: 0, steps: 1 });

    close(found.attributions[0]?.values, [2, -3, 1.5], 1e-6);
  });

  it("of several inputs add up together, and give nothing to an input without influence", async () => {
    const graph = new Graph();
    const [a, b, unused] = ["a", "b", "unused"].map((name) => graph.input(name, "FP32", ["n", 2]));
    if (a === undefined || b === undefined || unused === undefined) throw new TypeError();
    const y = reduceSum(graph, mul(graph, a, mul(graph, b, b)), [1]);
    const zero = graph.node("Mul", [reduceSum(graph, unused, [1]), graph.constant("FP32", [], [0])], { datatype: "FP32", shape: ["n"] });
    const model = readModel(buildModel({ graph, outputs: { y: graph.node("Add", [y, zero], { datatype: "FP32", shape: ["n"] }) } }));

    const found = await explain({ model, example: { a: row([1, 2]), b: row([3, -1]), unused: row([5, 5]) }, baselines: { a: row([0, 0]), b: row([0, 1]), unused: row([1, 1]) }, target: 0, steps: 8 });

    assert.ok(found.completenessError < 1e-4);
    close(found.attributions.find(({ input }) => input === "unused")?.values, [0, 0], 0);
    // ∫ b² = 9α² for the first: a gets 1·∫9α² = 3, b gets 3·∫2·α·3α = 6.
    close(found.attributions.map(({ values }) => values[0] ?? NaN).slice(0, 2), [3, 6], 1e-4);
  });

  it("take more points until little is missing, when nobody says how many", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", ["n", 1]);
    // A kink that no smooth rule likes: f = relu(100x - 97).
    const y = relu(graph, graph.node("Sub", [mul(graph, x, graph.constant("FP32", [], [100])), graph.constant("FP32", [], [97])], { datatype: "FP32", shape: ["n", 1] }));
    const found = await explain({ model: readModel(buildModel({ graph, outputs: { y } })), example: { x: row([1]) }, baselines: { x: row([0]) }, target: 0 });

    assert.ok(found.steps > 16, String(found.steps));
    assert.ok(found.evaluations > found.steps);
  });

  it("explain tokens by the rows that they pick, from a pad token or from nothing", async () => {
    const graph = new Graph();
    const table = graph.weight("table", tensorOf("FP32", [4, 2], [0.5, 0.5, 1, 0, 0, 2, -1, -1]));
    const rows = gather(graph, table, graph.input("input_ids", "INT64", ["batch", "length"]));
    const pooled = reduceMean(graph, { ...rows, shape: ["batch", "length", 2] }, [1]);
    const model = readModel(buildModel({ graph, outputs: { y: matMul(graph, pooled, graph.constant("FP32", [2, 1], [1, 1])) } }));

    const fromPad = await explain({ model, example: { input_ids: ids([1, 2, 3]) }, baselines: { input_ids: ids([0, 0, 0]) }, target: 0, steps: 2 });
    const fromNothing = await explain({ model, example: { input_ids: ids([1, 2, 3]) }, baselines: { input_ids: "zero" }, target: 0, steps: 2 });

    close(fromPad.attributions[0]?.values, [(1 - 1) / 3, (2 - 1) / 3, (-2 - 1) / 3], 1e-6);
    close(fromNothing.attributions[0]?.values, [1 / 3, 2 / 3, -2 / 3], 1e-6);
    assert.deepEqual(fromPad.attributions[0]?.shape, [1, 3]);
  });

  it("enter at a Cast where a picture comes as bytes", async () => {
    const graph = new Graph();
    const real = graph.node("Cast", [graph.input("pixels", "UINT8", ["n", 3])], { datatype: "FP32", shape: ["n", 3] }, { to: 1 });
    const model = readModel(buildModel({ graph, outputs: { y: matMul(graph, real, graph.constant("FP32", [3, 1], [1, 2, -1])) } }));

    const found = await explain({ model, example: { pixels: tensorOf("UINT8", [1, 3], [10, 20, 30]) }, baselines: { pixels: tensorOf("UINT8", [1, 3], [0, 10, 0]) }, target: 0, steps: 2 });

    close(found.attributions[0]?.values, [10, 20, -30], 1e-4);
  });

  it("say which operator has no gradient, and when none leads to the input", () => {
    const stepped = new Graph();
    const x = stepped.input("x", "FP32", ["n", 2]);
    const mod = stepped.node("Mod", [x, stepped.constant("FP32", [], [2])], { datatype: "FP32", shape: ["n", 2] }, { fmod: 1 });
    const hard = new Graph();
    const best = hard.node("ArgMax", [hard.input("x", "FP32", ["n", 2])], { datatype: "INT64", shape: ["n", 1] }, { axis: 1 });

    assert.throws(() => buildIntegratedGradients(readModel(buildModel({ graph: stepped, outputs: { y: mod } }))), (error) => error instanceof GraphError && /Mod has no gradient rule \("Mod_1"\)/.test(error.message));
    assert.throws(() => buildIntegratedGradients(readModel(buildModel({ graph: hard, outputs: { y: hard.node("Cast", [best], { datatype: "FP32", shape: ["n", 1] }, { to: 1 }) } }))), /no gradient leads from output "y" to input "x"/);
  });

  const MOBILENET = "assets/imagenet-mobilenetv2/mobilenet_v2_1.0_224_fp32.onnx";
  it("of MobileNetV2 miss less than a twentieth of the difference", { skip: skipWithout(MOBILENET) }, async () => {
    const model = readModel(readFileSync(sharedAsset(MOBILENET) ?? ""));
    const x = tensorOf("FP32", [1, 3, 224, 224], Array.from({ length: 3 * 224 * 224 }, (_, index) => Math.sin(index * 0.01) * Math.cos(index * 0.0003)));

    const found = await explain({ model, example: { input: x }, baselines: { input: baselineOf("zeros", x) }, target: 750, steps: 16 });

    assert.ok(Number.isFinite(found.prediction));
    assert.ok(found.completenessError <= 0.05 * Math.max(Math.abs(found.prediction - found.baselinePrediction), 0.01), `${found.completenessError} of ${found.prediction} - ${found.baselinePrediction}`);
  });

  const BERT = "assets/bert-mini-intents/classifier-banking77.onnx";
  it("of a BERT classifier add up to the difference of its logits", { skip: skipWithout(BERT) }, async () => {
    const model = readModel(readFileSync(sharedAsset(BERT) ?? ""));
    const tokens = ids([2, 150, 99, 2001, 640, 3]);
    const [ones, zeros] = [ids([1, 1, 1, 1, 1, 1]), ids([0, 0, 0, 0, 0, 0])];

    const found = await explain({ model, example: { input_ids: tokens, attention_mask: ones, token_type_ids: zeros }, baselines: { input_ids: ids([2, 0, 0, 0, 0, 3]) }, target: 5, steps: 64 });

    assert.deepEqual(found.attributions.map(({ input, shape }) => [input, shape]), [["input_ids", [1, 6]]]);
    close([found.attributions[0]?.values[0] ?? NaN, found.attributions[0]?.values[5] ?? NaN], [0, 0], 0); // the same token in both
    assert.ok(found.completenessError <= 0.02 * Math.abs(found.prediction - found.baselinePrediction) + 1e-3, `${found.completenessError} of ${found.prediction - found.baselinePrediction}`);
  });
});
