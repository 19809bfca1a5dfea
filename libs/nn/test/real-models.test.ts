import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { buildModel, type Value } from "@servable/onnx";
import { sharedAsset, skipWithout } from "@servable/testing";
import ort from "onnxruntime-node";
import { Scope, bert, llama, resnet20 } from "../src/index.ts";
import { readSafetensors } from "./support/read-safetensors.ts";

const asset = (path: string): Buffer => readFileSync(sharedAsset(`assets/${path}`) ?? "");
const QUIET = { intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
const whole = (rows: number, values: readonly number[]): ort.Tensor => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [rows, values.length / rows]);

/** Builds a model over a file's weights; each of them must be one that the model asks for. */
async function served(file: string, build: (nn: Scope) => Value, rename = (name: string): string => name): Promise<ort.InferenceSession> {
  const weights = readSafetensors(asset(file));
  const nn = new Scope({ mode: "infer", weights: (name) => weights.get(rename(name)) });
  const y = build(nn);
  const asked = [...nn.parameters, ...nn.buffers].map(({ name }) => rename(name));
  assert.deepEqual(asked.filter((name) => !weights.has(name)), []);
  return ort.InferenceSession.create(buildModel({ graph: nn.graph, outputs: { y } }), QUIET);
}

function assertSame(got: ort.Tensor | undefined, want: ort.Tensor | undefined, tolerance: number): void {
  assert.deepEqual(got?.dims, want?.dims);
  (want?.data as Float32Array).forEach((value, index) => assert.ok(Math.abs(value - Number(got?.data[index])) <= tolerance * (1 + Math.abs(value)), `[${index}] is ${got?.data[index]}, ${value} expected`));
}

describe("ready models over trained weights", () => {
  it("ResNet-20 computes what its file computes", { skip: skipWithout("assets/resnet-cifar10/resnet20.safetensors") }, async () => {
    const session = await served("resnet-cifar10/resnet20.safetensors", (nn) => resnet20(nn, nn.input("input", "FP32", ["batch", 3, 32, 32])));
    const original = await ort.InferenceSession.create(asset("resnet-cifar10/resnet20.onnx"), QUIET);
    const input = new ort.Tensor("float32", Float32Array.from({ length: 2 * 3072 }, (_, index) => Math.sin(index * 0.01 + Math.cos(index))), [2, 3, 32, 32]);

    const [{ y }, { logits }] = await Promise.all([session.run({ input }), original.run({ input })]);

    assertSame(y, logits, 1e-4); // f32 through twenty layers
  });

  it("a BERT encoder computes what its file computes", { skip: skipWithout("assets/bert-mini-intents/model.safetensors") }, async () => {
    const named = (nn: Scope, name: string): Value => nn.input(name, "INT64", ["batch", "sequence"]);
    const session = await served("bert-mini-intents/model.safetensors", (nn) => bert(nn, { ids: named(nn, "input_ids"), mask: named(nn, "attention_mask"), types: named(nn, "token_type_ids") }, { vocabulary: 4096, layers: 4, width: 128, heads: 4, positions: 128, intermediate: 512 }));
    const original = await ort.InferenceSession.create(asset("bert-mini-intents/model.onnx"), QUIET);
    const feeds = { input_ids: whole(2, [2, 100, 57, 1200, 3, 0, 2, 8, 9, 10, 11, 3]), attention_mask: whole(2, [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]), token_type_ids: whole(2, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]) };

    const [{ y }, { last_hidden_state: hidden }] = await Promise.all([session.run(feeds), original.run(feeds)]);

    assertSame(y, hidden, 1e-4); // f32 through four layers
  });

  it("a Llama continues a story word by word as its golden", { skip: skipWithout("assets/llm-stories260k/model.safetensors") }, async () => {
    const session = await served("llm-stories260k/model.safetensors", (nn) => llama(nn, nn.input("ids", "INT64", ["batch", "sequence"]), { vocabulary: 512, layers: 5, width: 64, heads: 8, keyValueHeads: 4, intermediate: 172, tied: true }));
    const { greedy } = JSON.parse(asset("llm-stories260k/expected.json").toString()) as { greedy: { prompt_ids: number[]; greedy_ids: number[] }[] };

    for (const { prompt_ids: prompt, greedy_ids: continuation } of greedy) {
      const { y } = await session.run({ ids: whole(1, [...prompt, ...continuation]) });
      const logits = y?.data as Float32Array;
      const best = (at: number): number => logits.subarray(at * 512, (at + 1) * 512).reduce((top, value, index, row) => (value > (row[top] ?? NaN) ? index : top), 0);
      assert.deepEqual(continuation.map((_, index) => best(prompt.length - 1 + index)), continuation);
    }
  });
});
