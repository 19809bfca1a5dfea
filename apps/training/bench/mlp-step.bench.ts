// One training step of the seed's network (784-128-1, Adam, binary cross-entropy, batch 32), one thread, beside PyTorch on
// the CPU where this machine's Python has it: same sizes, random data.
// Leaves out: reading data, evaluation, more threads.

import { spawnSync } from "node:child_process";
import { randomStream } from "@servable/nn";
import { createAdam } from "@servable/optim";
import { createNetwork } from "../src/worker/network.ts";

const [STEPS, WARM_UP, BATCH] = [1_000, 100, 32];
const random = randomStream(1, "bench");
const network = await createNetwork({ inputs: 784, hidden: [128], outputs: 1 }, 1);
const batch = { features: Float32Array.from({ length: BATCH * 784 }, () => random.uniform()), targets: Float32Array.from({ length: BATCH }, () => Math.round(random.uniform())), rows: BATCH };
const gradient = new Float32Array(network.arena.length);
const adam = createAdam({ size: network.arena.length });

let [graphMs, optimizerMs] = [0, 0];
for (let step = 0; step < STEPS + WARM_UP; step++) {
  const before = performance.now();
  await network.step(batch, gradient);
  const between = performance.now();
  adam.step(network.arena, gradient);
  if (step < WARM_UP) continue;
  graphMs += between - before;
  optimizerMs += performance.now() - between;
}
const stepMs = (graphMs + optimizerMs) / STEPS;
console.log(`MLP 784-128-1, batch ${BATCH}: ${stepMs.toFixed(3)} ms a step (graph ${(graphMs / STEPS).toFixed(3)}, Adam ${(optimizerMs / STEPS).toFixed(3)})`);

const PYTORCH = `
import torch, time
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
opt = torch.optim.Adam(net.parameters())
x, t = torch.rand(${BATCH}, 784), torch.rand(${BATCH}, 1).round()
def step():
    opt.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(x), t).backward()
    opt.step()
for _ in range(${WARM_UP}): step()
start = time.perf_counter()
for _ in range(${STEPS}): step()
print(torch.__version__, (time.perf_counter() - start) * 1000 / ${STEPS})
`;
const python = spawnSync("python3", ["-c", PYTORCH], { encoding: "utf8" });
if (python.status === 0) {
  const [version, ms] = python.stdout.trim().split(" ");
  console.log(`PyTorch ${version}, eager, default Adam: ${Number(ms).toFixed(3)} ms a step; ours is ${(stepMs / Number(ms)).toFixed(2)} of it`);
} else {
  console.log("PyTorch: not measured, this machine's Python does not have it");
}
