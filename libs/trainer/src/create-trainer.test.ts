import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mlp, softmaxCrossEntropy, type Network } from "@servable/nn";
import { adam } from "@servable/optim";
import { createTrainer } from "./index.ts";

const network: Network = (nn) => {
  const x = nn.input("x", "FP32", ["batch", 4]);
  const targets = nn.mode === "infer" ? undefined : nn.input("targets", "FP32", ["batch", 3]);
  const logits = mlp(nn, x, { hidden: [8], outputs: 3 });
  return { ...(targets !== undefined && { loss: softmaxCrossEntropy(nn.graph, logits, targets) }), outputs: { logits } };
};

/** Rows whose class is that of their largest of the first three numbers. */
function batchOf(rows: number, seed: number) {
  const data = Float32Array.from({ length: rows * 4 }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 7.1));
  const targets = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * 4, row * 4 + 3);
    targets[row * 3 + values.indexOf(Math.max(...values))] = 1;
  }
  return { x: { data, shape: [rows, 4] }, targets: { data: targets, shape: [rows, 3] } };
}

describe("a trainer", () => {
  it("learns", async () => {
    await using trainer = await createTrainer({ network, optimizer: adam({ learningRate: 0.05 }), seed: 1 });
    const first = await trainer.evaluate(batchOf(256, 99));

    for (let step = 0; step < 200; step++) assert.ok((await trainer.step(batchOf(32, step))).applied);

    const last = await trainer.evaluate(batchOf(256, 99));
    assert.ok(first.loss > 1 && last.loss < 0.3, `${first.loss} → ${last.loss}`);
  });
});
