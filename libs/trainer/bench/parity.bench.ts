// A hundred steps of Adam from the same weights over the same batches, here and in PyTorch on the CPU, one thread each: how far
// the losses are apart, and the median step. PyTorch runs by PYTHON (default python3); without it our side runs
// alone. Leaves out: reading data, evaluation, more threads. `PARITY=bert` runs one case.

import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Scope } from "@servable/nn";
import { adam } from "@servable/optim";
import { encodeSafetensors } from "@servable/weights";
import { createTrainer } from "../src/index.ts";
import { FULL } from "../test/support/parity-cases.ts";

const STEPS = 100;
const WARM_UP = 5;
const script = fileURLToPath(new URL("../test/goldens/parity.py", import.meta.url));
const only = process.env["PARITY"];

interface Peer {
  readonly losses: readonly number[];
  readonly milliseconds: number;
}

console.log("case        ms a step   PyTorch   ratio   largest distance of losses in 100 steps   first → last loss");
for (const [name, { network, feeds }] of Object.entries(FULL)) {
  if (only !== undefined && only !== name) continue;
  const scope = new Scope({ mode: "eval" });
  network(scope);
  const state = [...scope.parameters, ...scope.buffers].map(({ name: parameter, shape, initial: first }) => ({ parameter, shape, values: first() }));
  const initial = new Map(state.map(({ parameter, values }) => [parameter, values] as const));
  const weights = join(tmpdir(), `servable-parity-${process.pid}.safetensors`);
  writeFileSync(weights, encodeSafetensors({ tensors: new Map(state.map(({ parameter, shape, values }) => [parameter, { datatype: "FP32", shape, data: new Uint8Array(values.buffer.slice(0)) }])), metadata: {} }));
  await using trainer = await createTrainer({ network, optimizer: adam({ learningRate: name === "bert" ? 1e-4 : 1e-3 }), initial });
  const losses: number[] = [];
  const times: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const batch = feeds(step);
    const began = performance.now();
    losses.push((await trainer.step(batch)).loss);
    times.push(performance.now() - began);
  }
  const own = times.slice(WARM_UP).sort((a, b) => a - b)[Math.floor((STEPS - WARM_UP) / 2)] ?? NaN;
  const peer = pytorch(name, weights);
  rmSync(weights);
  const apart = peer === undefined ? NaN : Math.max(...losses.map((loss, step) => Math.abs(loss - (peer.losses[step] ?? NaN))));
  console.log(`${name.padEnd(11)} ${own.toFixed(2).padStart(9)} ${(peer?.milliseconds ?? NaN).toFixed(2).padStart(9)} ${(own / (peer?.milliseconds ?? NaN)).toFixed(2).padStart(7)}   ${apart.toExponential(1).padStart(10)}   ${losses[0]?.toFixed(4)} → ${losses.at(-1)?.toFixed(4)}`);
}

function pytorch(name: string, weights: string): Peer | undefined {
  const { stdout, status } = spawnSync(process.env["PYTHON"] ?? "python3", [script, "full", name, weights], { encoding: "utf8" });
  return status === 0 ? (JSON.parse(stdout) as Record<string, Peer>)[name] : undefined;
}
