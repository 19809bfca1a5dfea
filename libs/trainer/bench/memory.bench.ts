// Memory and building: 2,000 steps of an MLP and of a LeNet without growth, the time to build the session of a graph of 2,000
// nodes, and steps of GPT-2 small (124 million parameters) where this machine has the memory for them.
// Leaves out: time of steps (step-time.bench.ts).

import { freemem } from "node:os";
import { gpt, languageModel } from "@servable/nn";
import { adam } from "@servable/optim";
import { createTrainer, type Feeds, type Trainer } from "@servable/trainer";
import { createOrtSession } from "../src/ort-session.ts";
import { buildTrainingGraph } from "../src/training-graph.ts";
import { STEP_CASES, tokens } from "./step-cases.ts";

const STEPS = 2_000;
const GIB = 2 ** 30;
const LARGE_NEEDS_BYTES = 8 * GIB;
const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

for (const { title, network, batches } of STEP_CASES.slice(0, 3).filter((_, index) => index !== 1)) {
  await using trainer = await createTrainer({ network, optimizer: adam(), seed: 1 });
  await steps(trainer, batches, STEPS / 2); // caches and the collector find their size
  const before = process.memoryUsage.rss();
  await steps(trainer, batches, STEPS);
  const grown = process.memoryUsage.rss() - before;
  console.log(`${title}: ${STEPS.toLocaleString("en")} steps, ${megabytes(before)} before, ${grown < 0 ? "-" : "+"}${megabytes(Math.abs(grown))} after`);
}

{
  const network = languageModel((nn, ids) => gpt(nn, ids, { vocabulary: 256, layers: 16, width: 64, heads: 4, positions: 32, tied: false }));
  const times = Array.from({ length: 3 }, () => {
    const [graph, built] = timed(() => buildTrainingGraph(network, { batch: 4, sequence: 32 }));
    const [session, loaded] = timed(() => createOrtSession(graph.model, { threads: 1, nodeCount: graph.nodeCount }));
    session.release();
    return { nodeCount: graph.nodeCount, built, loaded };
  });
  for (const { nodeCount, built, loaded } of times.slice(0, 1)) console.log(`graph of ${nodeCount} nodes (GPT of 16 layers): written and differentiated in ${built}, session built in ${loaded} (target 300 ms)`);
  console.log(`… again, with the code compiled: ${times[2]?.built}, ${times[2]?.loaded}`);
}

if (freemem() < LARGE_NEEDS_BYTES) {
  console.log(`GPT-2 small: not run, it wants ${LARGE_NEEDS_BYTES / GIB} GiB of free memory and there are ${(freemem() / GIB).toFixed(1)}`);
} else {
  const network = languageModel((nn, ids) => gpt(nn, ids, { vocabulary: 50_257, layers: 12, width: 768, heads: 12, positions: 1_024 }));
  const batches = tokens(4, 64, 50_257, "next");
  const started = performance.now();
  await using trainer = await createTrainer({ network, optimizer: adam({ learningRate: 1e-4 }), threads: 2, dimensions: { batch: 4, sequence: 64 } });
  const ready = performance.now();
  const losses = [await trainer.step(batches[0] as Feeds), await trainer.step(batches[0] as Feeds), await trainer.step(batches[0] as Feeds)].map(({ loss }) => loss.toFixed(3));
  const { maxRSS } = process.resourceUsage();
  console.log(`GPT-2 small, ${(trainer.parameterCount / 1e6).toFixed(0)} M parameters, 256 tokens a step, 2 threads: built in ${((ready - started) / 1000).toFixed(1)} s, ${((performance.now() - ready) / 3000).toFixed(2)} s a step, losses ${losses.join(" → ")}, peak ${(maxRSS / 2 ** 20).toFixed(1)} GiB (limit 24)`);
}

async function steps(trainer: Trainer, batches: readonly Feeds[], count: number): Promise<void> {
  for (let step = 0; step < count; step++) await trainer.step(batches[step % batches.length] as Feeds);
}

/** What a call gives, and how long it took by the clock and in CPU time. */
function timed<T>(run: () => T): [T, string] {
  const [cpu, started] = [process.cpuUsage(), performance.now()];
  const result = run();
  const { user, system } = process.cpuUsage(cpu);
  return [result, `${(performance.now() - started).toFixed(0)} ms (CPU ${((user + system) / 1000).toFixed(0)})`];
}
