// Small networks whose every part a trainer must look after: dropout, a buffer, a frozen parameter, an embedding table.

import { dropout, embedding, mlp, softmaxCrossEntropy, zeros, type Network, type Scope } from "@servable/nn";
import { add, mul, reduceMean, relu, reshape, type Value } from "@servable/onnx";
import type { Feeds } from "../src/index.ts";

/** x [batch, 4], targets [batch, 3] one-hot. */
export const perceptron: Network = withTargets((nn, x) => mlp(nn, x, { hidden: [8], outputs: 3 }));

/** The same with dropout. */
export const droppedOut: Network = withTargets((nn, x) => mlp(nn, dropout(nn, x, 0.25), { hidden: [8], outputs: 3, dropout: 0.5 }));

/** A running mean of x, shifted by a frozen parameter. */
export const remembering: Network = withTargets((nn, x) => {
  const { graph } = nn;
  const mean = nn.buffer("mean", [4], zeros);
  const frozen = nn.parameter("frozen", [4], (shape) => new Float32Array(shape[0] ?? 0).fill(0.5), { trainable: false });
  const batchMean = reduceMean(graph, x, [0]);
  const half = graph.constant("FP32", [], [0.5]);
  nn.setBuffer("mean", add(graph, mul(graph, mean, half), mul(graph, reshape(graph, batchMean, [4]), half)));
  return mlp(nn, add(graph, add(graph, x, mean), frozen), { hidden: [8], outputs: 3 });
});

/** ids INT64 [batch, 2] through a table of 40 rows; targets [batch, 3]. */
export const embedded: Network = (nn) => {
  const ids = nn.input("ids", "INT64", ["batch", 2]);
  const targets = nn.mode === "infer" ? undefined : nn.input("targets", "FP32", ["batch", 3]);
  const rows = embedding(nn.child("table"), ids, 40, 4);
  const logits = mlp(nn, relu(nn.graph, reshape(nn.graph, rows, [ids.shape[0] ?? 0, 8])), { outputs: 3 });
  return { ...(targets !== undefined && { loss: softmaxCrossEntropy(nn.graph, logits, targets) }), outputs: { logits } };
};

function withTargets(body: (nn: Scope, x: Value) => Value): Network {
  return (nn) => {
    const x = nn.input("x", "FP32", ["batch", 4]);
    const targets = nn.mode === "infer" ? undefined : nn.input("targets", "FP32", ["batch", 3]);
    const logits = body(nn, x);
    return { ...(targets !== undefined && { loss: softmaxCrossEntropy(nn.graph, logits, targets) }), outputs: { logits } };
  };
}

/** Rows whose class is that of their largest of the first three numbers. */
export function batchOf(rows: number, seed: number): Feeds {
  const data = Float32Array.from({ length: rows * 4 }, (_, index) => Math.sin((index + 1) * 12.9898 + seed * 7.1));
  const targets = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * 4, row * 4 + 3);
    targets[row * 3 + values.indexOf(Math.max(...values))] = 1;
  }
  return { x: { data, shape: [rows, 4] }, targets: { data: targets, shape: [rows, 3] } };
}

/** Pairs of ids whose class follows from the first; some rows of the table never come. */
export function idsOf(rows: number, seed: number): Feeds {
  const ids = BigInt64Array.from({ length: rows * 2 }, (_, index) => BigInt((index * 7 + seed * 5) % 23));
  const targets = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) targets[row * 3 + Number(ids[row * 2]) % 3] = 1;
  return { ids: { data: ids, shape: [rows, 2] }, targets: { data: targets, shape: [rows, 3] } };
}

/** The rows of batches as one. */
export function joined(...batches: readonly Feeds[]): Feeds {
  const names = Object.keys(batches[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const feeds = batches.map((batch) => batch[name] as Feeds[string]);
      return [name, { data: Float32Array.from(feeds.flatMap(({ data }) => Array.from(data as Float32Array))), shape: [feeds.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), ...(feeds[0]?.shape.slice(1) ?? [])] }];
    }),
  );
}
