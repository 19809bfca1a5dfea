import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Scope, attention, batchNorm, causalMask, classifier, conv, embedding, flatten, gelu, languageModel, layerNorm, linear, maxPool, mlp, positionsOf, type Body, type Network } from "@servable/nn";
import { add, relu, type Value } from "@servable/onnx";
import { adam, cosineSchedule, sgd } from "@servable/optim";
import { createTrainer, type Feeds, type TrainerOptions } from "../src/index.ts";

const { curves, cnn } = JSON.parse(readFileSync(new URL("golden/loss-curves.json", import.meta.url), "utf8")) as { curves: Record<string, number[]>; cnn: Record<string, number[]> };

const numbers = (count: number, seed: number): number[] => Array.from({ length: count }, (_, index) => Math.sin((index + 1) * 12.9898 + seed * 7.1));

/** First weights by the formula of make-loss-curves.py. */
function firstWeights(network: Network): Map<string, Float32Array> {
  const scope = new Scope({ mode: "eval" });
  network(scope);
  return new Map(scope.parameters.map(({ name, shape }) => {
    const size = shape.reduce((product, each) => product * each, 1);
    const scale = shape.length > 1 ? 0.5 / Math.sqrt(shape.at(-1) ?? 1) : 0.1;
    const offset = /norm|ln_/.test(name) && name.endsWith("weight") && shape.length === 1 ? 1 : 0;
    return [name, Float32Array.from(numbers(size, name.length), (value) => value * scale + offset)];
  }));
}

function rows(count: number, shape: readonly number[], step: number): Feeds {
  const size = shape.reduce((product, each) => product * each, count);
  return {
    x: { data: Float32Array.from(numbers(size, step % 5)), shape: [count, ...shape] },
    labels: { data: BigInt64Array.from({ length: count }, (_, index) => BigInt((index * 7 + (step % 5)) % 3)), shape: [count] },
  };
}

function text(step: number): Feeds {
  const at = (row: number, column: number): bigint => BigInt((row * row + (column % 8) * 3 + (step % 5) * 11) % 40);
  const of = (shift: number): BigInt64Array => BigInt64Array.from({ length: 32 }, (_, index) => at(Math.floor(index / 8), (index % 8) + shift));
  return { input_ids: { data: of(0), shape: [4, 8] }, labels: { data: of(1), shape: [4, 8] } };
}

const convolutional: Body = (nn, x) => linear(nn.child("fc"), flatten(nn, maxPool(nn, relu(nn.graph, batchNorm(nn.child("norm"), conv(nn.child("conv"), x, 4, { kernel: 3, padding: 1 }))), { kernel: 2 })), 3);

const transformer: Body = (nn, ids) => {
  const { graph } = nn;
  // [batch, sequence, 16]; the table of 40 rows learns by its rows.
  const x = add(graph, embedding(nn.child("wte"), ids, 40, 16), embedding(nn.child("wpe"), positionsOf(nn, ids, 1), 8, 16));
  const projected = linear(nn.child("c_attn"), layerNorm(nn.child("ln_1"), x), 48);
  const third = { datatype: "FP32" as const, shape: [...projected.shape.slice(0, -1), 16] };
  const [query, key, value] = graph.nodeOf("Split", [projected], [third, third, third], { axis: -1, num_outputs: 3 }) as [Value, Value, Value];
  const attended = add(graph, x, linear(nn.child("c_proj"), attention(nn, query, key, value, { heads: 2, masks: [causalMask(nn, ids, 1)] }), 16));
  const inner = gelu(nn, linear(nn.child("c_fc"), layerNorm(nn.child("ln_2"), attended), 64), "tanh");
  return linear(nn.child("head"), layerNorm(nn.child("ln_f"), add(graph, attended, linear(nn.child("c_out"), inner, 16))), 40, { bias: false });
};

const CASES: Readonly<Record<string, { readonly options: TrainerOptions; readonly batchOf: (step: number) => Feeds; readonly tolerance: number }>> = {
  mlp: { options: { network: classifier({ shape: [8] }, (nn, x) => mlp(nn, x, { hidden: [16], outputs: 3 })), optimizer: adam({ learningRate: 0.01 }) }, batchOf: (step) => rows(16, [8], step), tolerance: 1e-5 },
  cnn: { options: { network: classifier({ shape: [1, 6, 6] }, convolutional), optimizer: sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }) }, batchOf: (step) => rows(8, [1, 6, 6], step), tolerance: 1e-4 },
  gpt: { options: { network: languageModel(transformer), optimizer: adam({ learningRate: 0.01 }), clipNorm: 0.5, schedule: cosineSchedule({ steps: 100, floor: 0.1 }) }, batchOf: text, tolerance: 1e-4 },
};

describe("losses of a hundred steps from the same weights", () => {
  for (const [name, { options, batchOf, tolerance }] of Object.entries(CASES)) {
    it(`are PyTorch's: ${name}`, async () => {
      await using trainer = await createTrainer({ ...options, initial: firstWeights(options.network) });

      const losses: number[] = [];
      for (let step = 0; step < 100; step++) losses.push((await trainer.step(batchOf(step))).loss);

      const worst = Math.max(...losses.map((loss, step) => Math.abs(loss - (curves[name]?.[step] ?? NaN))));
      assert.ok(worst < tolerance, `${worst}`); // roundings of f32, grown over 100 steps
      if (name === "cnn") for (const [buffer, want] of Object.entries(cnn)) want.forEach((value, at) => assert.ok(Math.abs((trainer.weights().get(`norm.${buffer}`)?.[at] ?? 0) - value) < 1e-4));
    });
  }
});
