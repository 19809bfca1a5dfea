import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Graph, buildModel, importGraph, mul, readModel, reduceSum, type Value } from "@servable/onnx";
import { sharedAsset, skipWithout } from "@servable/testing";
import ort from "onnxruntime-node";
import { gradients } from "../src/index.ts";

interface RealModel {
  readonly file: string;
  readonly output: string;
  readonly feeds: Readonly<Record<string, ort.Tensor>>;
  /** The value that is differentiated by: an input, or embeddings inside. */
  readonly wrt: string;
  readonly shape: readonly number[];
  /** How far along the gradient the slope is measured: far enough to rise above rounding, and not over many kinks. */
  readonly step: number;
}

const wave = (shape: readonly number[], scale = 1): ort.Tensor => new ort.Tensor("float32", Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => scale * Math.sin(index * 0.37 + Math.sin(index * 0.011) * 3)), [...shape]);
const ids = (values: readonly number[]): ort.Tensor => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);

const MODELS: readonly RealModel[] = [
  { file: "imagenet-mobilenetv2/mobilenet_v2_1.0_224_fp32.onnx", output: "output", feeds: { input: wave([1, 3, 224, 224]) }, wrt: "input", shape: [1, 3, 224, 224], step: 1e-2 },
  { file: "resnet-cifar10/resnet20.onnx", output: "logits", feeds: { input: wave([2, 3, 32, 32]) }, wrt: "input", shape: [2, 3, 32, 32], step: 1e-3 },
  { file: "onnx-small/mnist-cnn.onnx", output: "Plus214_Output_0", feeds: { Input3: wave([1, 1, 28, 28], 100) }, wrt: "Input3", shape: [1, 1, 28, 28], step: 1e-1 },
  {
    file: "bert-mini-intents/classifier-banking77.onnx",
    output: "logits",
    feeds: { input_ids: ids([2, 100, 57, 1200, 3]), attention_mask: ids([1, 1, 1, 1, 1]), token_type_ids: ids([0, 0, 0, 0, 0]) },
    wrt: "/b/embeddings/word_embeddings/Gather_output_0",
    shape: [1, 5, 128],
    step: 1e-2,
  },
  { file: "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", output: "softmax_0.tmp_0", feeds: { x: wave([1, 3, 48, 192]) }, wrt: "x", shape: [1, 3, 48, 192], step: 3e-3 },
  { file: "ocr/ch_PP-OCRv4_rec_infer.onnx", output: "softmax_11.tmp_0", feeds: { x: wave([1, 3, 48, 64]) }, wrt: "x", shape: [1, 3, 48, 64], step: 3e-3 },
];

describe("gradients through imported models", () => {
  for (const model of MODELS) {
    it(`are the slope of ${model.file}`, { skip: skipWithout(`assets/${model.file}`) }, async () => {
      const bytes = readFileSync(sharedAsset(`assets/${model.file}`) ?? "");
      const original = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
      const expected = (await original.run(model.feeds))[model.output] as ort.Tensor;
      const { session, size } = await withGradient(bytes, model, expected);
      const zero = new Float32Array(size);

      const at = await session(zero);
      // Along the gradient the slope is its length. Kinks bend it, rounding blurs it least: no other direction is as steep.
      const length = Math.hypot(...norms(at.gradient));
      const direction = at.gradient.map((value) => value / length);
      const lossAt = async (step: number): Promise<number> => (await session(direction.map((value) => value * step))).loss;
      const measured = ((await lossAt(model.step)) - (await lossAt(-model.step))) / (2 * model.step);

      // The imported graph computes what the file does, whatever opset it was written in.
      for (const [index, value] of at.output.entries()) assert.ok(Math.abs(value - Number(expected.data[index])) <= 1e-4 + 1e-3 * Math.abs(value), `output ${index}: ${value}, the file gives ${expected.data[index]}`);
      assert.ok(Math.abs(measured - length) <= 0.02 * length, `slope ${length}, measured ${measured}`);
    });
  }
});

/** Partial lengths: a spread of 150,000 arguments is too many. */
function norms(values: Float32Array): number[] {
  return Array.from({ length: Math.ceil(values.length / 1000) }, (_, block) => Math.hypot(...values.subarray(block * 1000, block * 1000 + 1000)));
}

interface At {
  readonly loss: number;
  readonly output: Float32Array;
  readonly gradient: Float32Array;
}

/** The model with a shift added at the value in question; its largest output is differentiated. */
async function withGradient(bytes: Uint8Array, model: RealModel, expected: ort.Tensor): Promise<{ session: (shift: Float32Array) => Promise<At>; size: number }> {
  const graph = new Graph();
  const shift = graph.input("shift", "FP32", model.shape);
  const { outputs, values } = importGraph(readModel(bytes), { graph, substitute: (name, value) => (name === model.wrt ? graph.node("Add", [value, shift], { datatype: "FP32", shape: value.shape }) : value) });
  const output = outputs.get(model.output) as Value;
  const scores = expected.data as Float32Array;
  const chosen = graph.input("chosen", "FP32", expected.dims);
  const loss = reduceSum(graph, mul(graph, output, chosen), expected.dims.map((_, axis) => axis));
  const [gradient] = gradients(graph, loss, [values.get(model.wrt) as Value]);
  const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { loss, y: output, d: gradient as Value } }), { logSeverityLevel: 3 });
  const largest = scores.reduce((most, value) => Math.max(most, value), -Infinity);
  const weights = Float32Array.from(scores, (value) => (value === largest ? 1 : 0));
  return {
    size: model.shape.reduce((product, each) => product * each, 1),
    session: async (data) => {
      const results = await session.run({ ...model.feeds, shift: new ort.Tensor("float32", data, [...model.shape]), chosen: new ort.Tensor("float32", weights, expected.dims) });
      return { loss: Number(results["loss"]?.data[0]), output: results["y"]?.data as Float32Array, gradient: results["d"]?.data as Float32Array };
    },
  };
}
