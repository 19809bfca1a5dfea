import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildModel, type Value } from "@servable/onnx";
import { parameterFormula } from "@servable/testing";
import ort from "onnxruntime-node";
import { Scope, bertClassifier, gpt, languageModel, lenet, llama, mlp, resnet, resnet18, resnet20, smallCnn } from "../src/index.ts";
import { assertClose, readGoldens, type GoldenTensor } from "./support/golden.ts";

const goldens = readGoldens<Record<string, GoldenTensor>>("models.json");
const MASK = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0];
const BERT = { vocabulary: 50, layers: 2, width: 16, heads: 4, positions: 12, classes: 3 } as const;

const pictures = (nn: Scope, channels: number, size: number): Value => nn.input("x", "FP32", ["batch", channels, size, size]);
const ids = (nn: Scope): Value => nn.input("ids", "INT64", ["batch", "sequence"]);
const tokens = (nn: Scope) => ({ ids: ids(nn), mask: nn.input("mask", "INT64", ["batch", "sequence"]) });

const MODELS: Readonly<Record<string, (nn: Scope) => Value>> = {
  mlp: (nn) => mlp(nn, nn.input("x", "FP32", ["batch", 6]), { hidden: [8, 5], outputs: 3 }),
  lenet: (nn) => lenet(nn, pictures(nn, 1, 28), 10),
  smallCnn: (nn) => smallCnn(nn, pictures(nn, 1, 28), 10),
  resnet20: (nn) => resnet20(nn, pictures(nn, 3, 32)),
  "resnet of convolutions": (nn) => resnet(nn, pictures(nn, 3, 32), { blocks: [1, 2], channels: [8, 12], classes: 5, stem: "large", shortcut: "convolution" }),
  gpt: (nn) => gpt(nn, ids(nn), { vocabulary: 50, layers: 2, width: 16, heads: 4, positions: 12 }),
  bertClassifier: (nn) => bertClassifier(nn, tokens(nn), BERT),
  "bertClassifier of means": (nn) => bertClassifier(nn, tokens(nn), { ...BERT, pooling: "mean" }),
};

/** Numbers that the PyTorch side makes by the same formula. */
function feedOf({ name, datatype, shape }: Value): ort.Tensor {
  const sizes = shape.map((size) => (size === "sequence" ? 6 : typeof size === "number" ? size : name === "x" && shape.length === 2 ? 4 : 2));
  const count = sizes.reduce((product, size) => product * size, 1);
  if (datatype === "FP32") return new ort.Tensor("float32", Float32Array.from({ length: count }, (_, index) => Math.sin(index * 0.37)), sizes);
  return new ort.Tensor("int64", BigInt64Array.from({ length: count }, (_, index) => BigInt(name === "mask" ? (MASK[index] ?? 0) : (index * 7 + 3) % 50)), sizes);
}

async function run(nn: Scope, outputs: Readonly<Record<string, Value>>): Promise<GoldenTensor> {
  const session = await ort.InferenceSession.create(buildModel({ graph: nn.graph, outputs }), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const results = await session.run(Object.fromEntries(nn.graph.inputs.map((input) => [input.name, feedOf(input)])));
  const [first] = Object.values(results);
  return { shape: first?.dims ?? [], values: Array.from(first?.data as Float32Array) };
}

/** Weights by the formula, under the names and shapes that the model asks for. */
function filled(build: (nn: Scope) => unknown, dimensions: Record<string, number>): Map<string, Float32Array> {
  const nn = new Scope({ mode: "eval", dimensions });
  build(nn);
  return new Map([...nn.parameters, ...nn.buffers].map(({ name, shape }) => [name, parameterFormula(name, shape)]));
}

describe("ready models", () => {
  for (const [name, build] of Object.entries(MODELS)) {
    it(`${name} gives PyTorch's logits from the same weights, its sizes known or not`, async () => {
      const weights = filled(build, {});
      for (const dimensions of [{}, { batch: name === "mlp" ? 4 : 2, sequence: 6 }]) {
        const nn = new Scope({ mode: "infer", dimensions, weights: (parameter) => weights.get(parameter) });
        assertClose(await run(nn, { logits: build(nn) }), goldens[name], { atol: 2e-5, rtol: 2e-5 }, "logits"); // f32 through up to twenty layers
      }
    });
  }

  for (const { name, build, want } of [
    { name: "LeNet-5", build: MODELS["lenet"], want: 61_706 },
    { name: "ResNet-20", build: MODELS["resnet20"], want: 269_722 },
    { name: "ResNet-18", build: (nn: Scope) => resnet18(nn, pictures(nn, 3, 224)), want: 11_689_512 },
    { name: "GPT-2 small", build: (nn: Scope) => gpt(nn, ids(nn), { vocabulary: 50_257, layers: 12, width: 768, heads: 12, positions: 1024 }), want: 124_439_808 },
    { name: "BERT base with a pooler and two classes", build: (nn: Scope) => bertClassifier(nn, tokens(nn), { vocabulary: 30_522, layers: 12, width: 768, heads: 12, positions: 512, classes: 2 }), want: 109_483_778 },
  ]) {
    it(`${name} has ${want.toLocaleString("en")} parameters`, () => {
      const nn = new Scope({ mode: "eval" });
      build?.(nn);

      assert.equal(nn.parameters.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0), want);
    });
  }

  it("a language model learns with labels and is served without", () => {
    const network = languageModel((nn, tokenIds) => llama(nn, tokenIds, { vocabulary: 50, layers: 1, width: 16, heads: 4, keyValueHeads: 2, intermediate: 24 }));
    const [training, serving] = [new Scope({ mode: "train", dimensions: { batch: 2, sequence: 5 } }), new Scope({ mode: "infer", weights: () => undefined })];

    assert.deepEqual(network(training).loss?.shape, []);
    assert.deepEqual(network(serving).outputs["logits"]?.shape, ["batch", "sequence", 50]);
    assert.deepEqual(serving.graph.inputs.map(({ name }) => name), ["input_ids"]);
  });
});
