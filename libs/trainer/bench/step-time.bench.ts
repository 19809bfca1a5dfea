// Time of a training step beside PyTorch on the CPU (eager; Adam as it comes, and fused): same threads, first weights, batches
// and order. Rounds of both sides alternate, and the ratio is one of medians of rounds, so that a loaded machine slows both.
// Leaves out: reading data, evaluation, torch.compile, accelerators. PyTorch is looked for in PYTHON (default python3).
// Arguments: a part of a case's title, and the threads, e.g. `npx node libs/trainer/bench/step-time.bench.ts LeNet 1`.

import { setTimeout as sleep } from "node:timers/promises";
import { Scope } from "@servable/nn";
import { adam } from "@servable/optim";
import type { Tensor } from "@servable/tensor";
import { createTrainer, type Trainer } from "@servable/trainer";
import { STEP_CASES, type StepCase } from "./step-cases.ts";
import { startTorchPeer, type TorchPeer } from "./torch-peer.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 7);
const LOSS_STEPS = 40;
/** Threads of a side that has just run wait for work with a core each: until they sleep, the other side would have one core less. */
const SETTLE_MS = 300;
const filter = process.argv[2] ?? "";
const threadCounts = process.argv[3] === undefined ? [1, 2] : [Number(process.argv[3])];

using peer = await startTorchPeer(process.env["PYTHON"] ?? "python3");
console.log(peer === undefined ? "PyTorch: not measured, this machine's Python does not have it (set PYTHON)" : `PyTorch ${peer.version}, eager; ours ÷ theirs, below 1 is faster`);
for (const threads of threadCounts) for (const each of STEP_CASES.filter(({ title }) => title.includes(filter))) await measure(each, threads, peer);

async function measure({ title, peer: model, network, batches, steps, target, fusedTarget }: StepCase, threads: number, torch: TorchPeer | undefined): Promise<void> {
  await using trainer = await createTrainer({ network, optimizer: adam(), seed: 1, threads });
  await torch?.load(model, threads, firstWeights(trainer, network), batches);
  let done = 0;
  const ours = async (count: number) => {
    const losses: number[] = [];
    const [cpu, wall] = [process.cpuUsage(), performance.now()];
    for (let step = 0; step < count; step++) losses.push((await trainer.step(batches[done++ % batches.length] as StepCase["batches"][number])).loss);
    const wallMs = (performance.now() - wall) / count;
    const { user, system } = process.cpuUsage(cpu);
    return { wallMs, cpuMs: (user + system) / 1000 / count, losses };
  };
  const warm = Math.min(LOSS_STEPS, 5 * steps);
  const [first, theirs] = [await ours(warm), await torch?.steps("default", warm)];
  await torch?.steps("fused", warm);
  const rounds: Record<"ours" | "default" | "fused", { wallMs: number; cpuMs: number }[]> = { ours: [], default: [], fused: [] };
  for (let round = 0; round < ROUNDS; round++) {
    await sleep(SETTLE_MS);
    rounds.ours.push(await ours(steps));
    await sleep(SETTLE_MS);
    for (const kind of ["default", "fused"] as const) if (torch !== undefined) rounds[kind].push(await torch.steps(kind, steps));
  }
  const wall = median(rounds.ours.map(({ wallMs }) => wallMs));
  let line = `${title}, ${threads} thread${threads === 1 ? "" : "s"}: ${wall.toFixed(3)} ms`;
  if (theirs !== undefined) {
    for (const [kind, limit] of [["default", target], ["fused", fusedTarget]] as const) {
      const ratio = wall / median(rounds[kind].map(({ wallMs }) => wallMs));
      const cpu = median(rounds.ours.map(({ cpuMs }) => cpuMs)) / median(rounds[kind].map(({ cpuMs }) => cpuMs));
      line += ` · ÷ ${kind} Adam ${ratio.toFixed(2)} (CPU ${cpu.toFixed(2)}; target ${limit}${ratio <= limit ? "" : ", MISSED"})`;
    }
    const difference = Math.max(...first.losses.map((loss, index) => Math.abs(loss - (theirs.losses[index] as number))));
    line += ` · losses of ${warm} steps within ${difference.toExponential(1)}`;
  }
  console.log(line);
}

function firstWeights(trainer: Trainer, network: StepCase["network"]): Map<string, Tensor> {
  const scope = new Scope({ mode: "eval" });
  network(scope);
  const weights = trainer.weights();
  return new Map(scope.parameters.map(({ name, shape }) => {
    const values = (weights.get(name) as Float32Array).slice();
    return [name, { datatype: "FP32", shape, data: new Uint8Array(values.buffer) }];
  }));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
