// Trains on its own: `node resume-child.ts FROM TO [SNAPSHOT-IN]` prints the digest after step TO and writes a snapshot to OUT.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { adamW, plateau, warmUp } from "@servable/optim";
import { typedArrayOf, type Tensor } from "@servable/tensor";
import { encodeSafetensors, readSafetensors } from "@servable/weights";
import { createTrainer } from "../src/index.ts";
import { batchOf, droppedOut, embedded, idsOf, remembering } from "./networks.ts";

const [kind = "", from = "", to = "", out = "", input] = process.argv.slice(2);
const cases = { dropout: [droppedOut, batchOf], buffers: [remembering, batchOf], rows: [embedded, idsOf] } as const;
const [network, feeds] = cases[kind as keyof typeof cases];
await using trainer = await createTrainer({ network, optimizer: adamW({ learningRate: 0.02 }), seed: 5, averageDecay: 0.95, clipNorm: 0.5, schedule: warmUp({ steps: 20 }), plateau: plateau({ patience: 2 }) });
if (input !== undefined) {
  const { tensors, metadata } = readSafetensors(new Uint8Array(readFileSync(input)));
  trainer.restore({ tensors: new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: typedArrayOf(tensor) as Float32Array }])), state: JSON.parse(metadata["state"] ?? "") as Record<string, unknown> });
}
for (let step = Number(from); step < Number(to); step++) {
  const { loss } = await trainer.step([feeds(8, step), feeds(3, step + 1_000)]);
  if (step % 5 === 0) trainer.observe(loss);
}
const { tensors, state } = trainer.save();
const file = encodeSafetensors({ tensors: new Map([...tensors].map(([name, { shape, data }]): [string, Tensor] => [name, { datatype: "FP32", shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }])), metadata: { state: JSON.stringify(state) } });
writeFileSync(out, file);
console.log(createHash("sha256").update(file).digest("hex"), createHash("sha256").update(trainer.export()).digest("hex"));
