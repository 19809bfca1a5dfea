import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { classifier, mlp } from "@servable/nn";
import { adam } from "@servable/optim";
import { createTrainer } from "./index.ts";

const network = classifier({ shape: [4] }, (nn, x) => mlp(nn, x, { hidden: [8], outputs: 3 }));

/** Rows whose class is that of their largest of the first three numbers. */
function batchOf(rows: number, seed: number) {
  const data = Float32Array.from({ length: rows * 4 }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 7.1));
  const labels = BigInt64Array.from({ length: rows }, (_, row) => {
    const values = data.subarray(row * 4, row * 4 + 3);
    return BigInt(values.indexOf(Math.max(...values)));
  });
  return { x: { data, shape: [rows, 4] }, labels: { data: labels, shape: [rows] } };
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
