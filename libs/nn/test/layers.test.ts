import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Value } from "@servable/onnx";
import { Scope, activate, attention, averagePool, batchNorm, causalMask, conv, convTranspose, dropout, embedding, flatten, globalAveragePool, glu, groupNorm, gru, layerNorm, linear, lstm, maxPool, paddingMask, rmsNorm, rotaryTable, swiglu, type Activation } from "../src/index.ts";
import { assertClose, readGoldens, runGolden, type GoldenCase, type GoldenRun } from "./support/golden.ts";

type Inputs = Readonly<Record<string, Value>>;
type Build = (nn: Scope, inputs: Inputs) => Record<string, Value>;

const goldens = readGoldens<Record<string, GoldenCase>>("goldens.json");
const of = (inputs: Inputs, name: string): Value => inputs[name] as Value;
const y = (build: (nn: Scope, x: Value) => Value): Build => (nn, inputs) => ({ y: build(nn, of(inputs, "x")) });
const statistics = (build: (nn: Scope, x: Value) => Value): Build => (nn, inputs) => ({ y: build(nn, of(inputs, "x")), ...Object.fromEntries(nn.buffers.map(({ name, next }) => [name, next as Value])) });
const qkv = (inputs: Inputs): [Value, Value, Value] => [of(inputs, "q"), of(inputs, "k"), of(inputs, "v")];

const batch = { x: { 0: "batch" } } as const;
const sequences = { x: { 0: "batch", 1: "sequence" } } as const;
const attended = (...names: string[]): GoldenRun["names"] => Object.fromEntries(names.map((name) => [name, { 0: "batch", 1: "sequence" }]));
const NAMES: readonly Activation[] = ["relu", "gelu", "gelu-tanh", "silu", "tanh", "sigmoid", "leaky-relu", "elu", "identity"];

/** Each case: how it is built, and the axes that may vary where the layer is served. */
const LAYERS: readonly { readonly name: string; readonly build: Build; readonly names?: GoldenRun["names"]; readonly train?: true }[] = [
  { name: "linear", build: y((nn, x) => linear(nn, x, 3)), names: batch },
  { name: "linear over sequences", build: y((nn, x) => linear(nn, x, 3)), names: sequences },
  { name: "linear without bias", build: y((nn, x) => linear(nn, x, 3, { bias: false })), names: batch },
  { name: "conv", build: y((nn, x) => conv(nn, x, 6, { kernel: [3, 2], stride: 2, padding: 1, dilation: [1, 2], groups: 2 })), names: batch },
  { name: "conv over one axis", build: y((nn, x) => conv(nn, x, 4, { kernel: 3, padding: 1 })), names: { x: { 0: "batch", 2: "length" } } },
  { name: "convTranspose", build: y((nn, x) => convTranspose(nn, x, 6, { kernel: 3, stride: 2, padding: 1, outputPadding: 1, groups: 2 })), names: batch },
  { name: "maxPool", build: y((nn, x) => maxPool(nn, x, { kernel: 3, stride: 2, padding: 1 })), names: batch },
  { name: "averagePool", build: y((nn, x) => averagePool(nn, x, { kernel: 3, stride: 2, padding: 1 })), names: batch },
  { name: "globalAveragePool", build: y((nn, x) => globalAveragePool(nn, x)), names: { x: { 0: "batch", 2: "height", 3: "width" } } },
  { name: "layerNorm", build: y((nn, x) => layerNorm(nn, x)), names: sequences },
  { name: "rmsNorm", build: y((nn, x) => rmsNorm(nn, x)), names: sequences },
  { name: "groupNorm", build: y((nn, x) => groupNorm(nn, x, 2)), names: batch },
  { name: "batchNorm while training", build: statistics((nn, x) => batchNorm(nn, x)), train: true },
  { name: "batchNorm of rows while training", build: statistics((nn, x) => batchNorm(nn, x)), train: true },
  { name: "batchNorm while serving", build: y((nn, x) => batchNorm(nn, x)), names: batch },
  { name: "embedding", build: (nn, inputs) => ({ y: embedding(nn, of(inputs, "ids"), 7, 4) }), names: { ids: { 0: "batch", 1: "sequence" } } },
  { name: "activations", build: (nn, inputs) => Object.fromEntries(NAMES.map((name) => [name, activate(nn, of(inputs, "x"), name)])), names: batch },
  { name: "glu", build: y((nn, x) => glu(nn, x)), names: batch },
  { name: "swiglu", build: (nn, inputs) => ({ y: swiglu(nn, of(inputs, "gate"), of(inputs, "up")) }) },
  { name: "lstm", build: (nn, inputs) => ({ ...lstm(nn, of(inputs, "x"), 4) }), names: sequences },
  { name: "gru", build: (nn, inputs) => ({ ...gru(nn, of(inputs, "x"), 4) }), names: sequences },
  { name: "attention with padding", build: (nn, inputs) => ({ y: attention(nn, ...qkv(inputs), { heads: 2, masks: [paddingMask(nn, of(inputs, "mask"))] }) }), names: { q: { 0: "batch", 1: "queries" }, ...attended("k", "v", "mask") } },
  { name: "causal attention", build: (nn, inputs) => ({ y: attention(nn, ...qkv(inputs), { heads: 2, masks: [causalMask(nn, of(inputs, "q"), 1)] }) }), names: attended("q", "k", "v") },
  {
    name: "rotary attention with shared keys",
    build: (nn, inputs) => ({ y: attention(nn, ...qkv(inputs), { heads: 4, keyValueHeads: 2, masks: [causalMask(nn, of(inputs, "q"), 1)], rotary: rotaryTable(nn, of(inputs, "q"), 1, 4) }) }),
    names: attended("q", "k", "v"),
  },
];

/** f32, a few hundred terms at most. */
const CLOSE = { atol: 2e-6, rtol: 2e-5 };

describe("layers", () => {
  for (const { name, build, names, train } of LAYERS) {
    const golden = goldens[name] as GoldenCase;
    it(`${name} gives PyTorch's values`, async () => {
      const got = await runGolden(golden, build, { mode: train === true ? "train" : "eval" });

      for (const [output, want] of Object.entries(golden.outputs)) assertClose(got[output], want, CLOSE, output);
    });

    if (names === undefined) continue;
    it(`${name} gives the same where sizes vary`, async () => {
      const got = await runGolden(golden, build, { mode: "infer", names });

      for (const [output, want] of Object.entries(golden.outputs)) assertClose(got[output], want, CLOSE, output);
    });
  }

  it("dropout is a mask to be fed while training, and nothing else otherwise", () => {
    for (const mode of ["eval", "infer"] as const) {
      const nn = new Scope({ mode });
      const x = nn.input("x", "FP32", ["batch", 3]);
      assert.equal(dropout(nn, x, 0.5), x);
    }
    const nn = new Scope({ mode: "train", dimensions: { batch: 2 } });
    dropout(nn.child("layer"), nn.input("x", "FP32", ["batch", 3]), 0.25);
    assert.deepEqual(nn.masks.map(({ name, shape, rate }) => ({ name, shape, rate })), [{ name: "layer.dropout", shape: [2, 3], rate: 0.25 }]);
  });

  it("say what does not fit", () => {
    const nn = new Scope({ mode: "eval" });
    const x = nn.input("x", "FP32", ["batch", "size"]);
    const pictures = nn.input("pictures", "FP32", ["batch", 3, 8, 8]);
    const sequence = nn.input("sequence", "FP32", ["batch", "sequence", 10]);

    assert.throws(() => linear(nn, x, 3), { name: "GraphError", message: /the size of axis -1 of "x" \[batch,size\] must be known/ });
    assert.throws(() => conv(nn, pictures, 4, { kernel: 3, groups: 2 }), { name: "GraphError", message: /3 to 4 channels in 2 groups/ });
    assert.throws(() => conv(nn, pictures, 4, { kernel: [3] }), { name: "GraphError", message: /1 numbers for 2 axes/ });
    assert.throws(() => attention(nn, sequence, sequence, sequence, { heads: 3 }), { name: "GraphError", message: /width 10 with 3 heads/ });
    assert.throws(() => dropout(nn, x, 1), { name: "GraphError", message: /from 0 to below 1/ });
  });

  it("flatten keeps the batch", () => {
    const nn = new Scope({ mode: "infer" });
    assert.deepEqual(flatten(nn, nn.input("x", "FP32", ["batch", 2, 3, 4])).shape, ["batch", 24]);
  });
});
