// Runs the placement in simulation and writes docs/placement.md with its plots:
//   node libs/scheduling/bench/placement.bench.ts

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { placeModels, type PlacedModel } from "../src/index.ts";
import { linePlot } from "./line-plot.ts";
import { simulateFleet, type FleetOptions, type FleetResult, type Placement } from "./simulate-fleet.ts";

const DOCS = fileURLToPath(new URL("../../../docs", import.meta.url));
const SEEDS = [1, 2, 3];
const FRACTIONS = [0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8];
const BASE = { modelCount: 2_000, replicaCount: 8, zipfExponent: 1, requestsPerSecond: 20, seconds: 1_800, lostAtSecond: 900, backAtSecond: 1_350, hotCount: 20, hotReplicas: 2 } as const;

/** What is often done: the hash of the name, modulo the number of replicas. */
const modulo: Placement = (models, replicas) => new Map(models.map(({ name, replicaCount }) => [name, Array.from({ length: Math.min(replicaCount, replicas.length) }, (_, copy) => replicas[(hash(name) + copy) % replicas.length]?.id ?? "")]));
/** Rendezvous hashing without bounds: each model by itself. */
const rendezvous: Placement = (models, replicas) => new Map(models.flatMap((model) => [...placeModels([withoutWeight(model)], replicas)]));

const POLICIES: readonly { readonly label: string; readonly placement: Placement; readonly loadIsKnown: boolean }[] = [
  { label: "hash modulo replicas", placement: modulo, loadIsKnown: false },
  { label: "rendezvous", placement: rendezvous, loadIsKnown: false },
  { label: "rendezvous with bounds", placement: placeModels, loadIsKnown: false },
  { label: "… and traffic known", placement: placeModels, loadIsKnown: true },
];

const run = (policy: (typeof POLICIES)[number], change: Partial<FleetOptions>): FleetResult[] => SEEDS.map((seed) => simulateFleet({ ...BASE, memoryFraction: 0.2, ...policy, ...change, seed }));
const median = (results: readonly FleetResult[], read: (result: FleetResult) => number): number => results.map(read).sort((a, b) => a - b)[Math.floor(results.length / 2)] ?? 0;

const row = (policy: (typeof POLICIES)[number], change: Partial<FleetOptions>): string[] => {
  const results = run(policy, change);
  const of = (read: (result: FleetResult) => number): number => median(results, read);
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
  return [
    policy.label, percent(of(({ hitRate }) => hitRate)), of(({ loads }) => loads).toFixed(0), `${of(({ coldMsP50 }) => coldMsP50).toFixed(0)} / ${of(({ coldMsP99 }) => coldMsP99).toFixed(0)}`,
    of(({ refused }) => refused).toFixed(0), of(({ busiest }) => busiest).toFixed(2), of(({ fullest }) => fullest).toFixed(2), `${of(({ movedAtLoss }) => movedAtLoss)} (${of(({ lostCopies }) => lostCopies)})`, of(({ movedAtReturn }) => movedAtReturn).toFixed(0),
  ];
};
const table = POLICIES.map((policy) => row(policy, {}));
/** Few models that fit together, so that it matters who lies where; nothing is lost. */
const FEW = { modelCount: 100, hotCount: 0, memoryFraction: 1.25, lostAtSecond: Infinity, backAtSecond: Infinity };
const few = POLICIES.map((policy) => row(policy, FEW).slice(0, 7));
const byMemory = POLICIES.map((policy) => ({
  label: policy.label,
  rows: FRACTIONS.map((memoryFraction) => {
    const results = run(policy, { memoryFraction });
    return { memoryFraction, hitRate: median(results, ({ hitRate }) => hitRate), coldMsP99: median(results, ({ coldMsP99 }) => coldMsP99) };
  }),
}));
const overTime = POLICIES.map((policy) => ({ label: policy.label, points: simulateFleet({ ...BASE, ...policy, memoryFraction: 0.3, seed: 1 }).hitRateOverTime }));

mkdirSync(`${DOCS}/placement`, { recursive: true });
const plots = {
  "hit-rate-over-time": linePlot({ title: "Models found in memory while a replica is lost and comes back", xLabel: "second", yLabel: "hit rate", yRange: [0, 1], percent: true, lines: overTime, marks: [{ x: BASE.lostAtSecond, label: "one of 8 lost" }, { x: BASE.backAtSecond, label: "back, empty" }] }),
  "hit-rate-by-memory": linePlot({ title: "Models found in memory by the memory that there is", xLabel: "memory of all replicas over the size of all models", yLabel: "hit rate", yRange: [0.4, 1], percent: true, lines: byMemory.map(({ label, rows }) => ({ label, points: rows.map(({ memoryFraction, hitRate }) => [memoryFraction, hitRate] as const) })) }),
  "cold-start-by-memory": linePlot({ title: "Cold starts: how long the slowest 1 % wait", xLabel: "memory of all replicas over the size of all models", yLabel: "seconds", yRange: [0, 8], lines: byMemory.map(({ label, rows }) => ({ label, points: rows.map(({ memoryFraction, coldMsP99 }) => [memoryFraction, coldMsP99 / 1_000] as const) })) }),
};
for (const [name, svg] of Object.entries(plots)) writeFileSync(`${DOCS}/placement/${name}.svg`, svg);
writeFileSync(`${DOCS}/placement.md`, page(table, few));
console.log([...table, ...few].map((cells) => cells.join(" | ")).join("\n"));

function page(rows: readonly (readonly string[])[], fewRows: readonly (readonly string[])[]): string {
  return `# Placement: many models, several replicas, one memory budget each

The registry decides which replicas serve which deployments; a replica decides which of them are in memory. Both decisions
are pure functions in \`libs/scheduling\` (\`placement.ts\`, \`eviction.ts\`). This page says how they decide, and what comes of
it in a simulated fleet. It is written by \`node libs/scheduling/bench/placement.bench.ts\`; the same functions run in the
services.

## How a place is found
1. Every deployment ranks every replica by a hash of both names, weighted by the replica's memory, and takes the first
   \`replica_count\` ones (rendezvous hashing). Nothing is stored: the same arguments give the same answer.
2. It passes over replicas that are full: those with a quarter more models or bytes than their fair share, and, while all of it
   fits, those whose budget it would exceed. Bounds move in steps of 10 %, so that one deployment more moves next to nothing.
3. Pinned models are placed first and only within a budget.
4. A copy that is to move is kept where it serves until the new place serves. Replicas that are about to stop get no models and
   hand theirs over first. So neither costs a call.

## How memory is shared
A model is loaded when it is assigned while there is room, or at its first call (\`servable.load\`). Room is made by sending away
the least recently used models; never one with requests, never a pinned one, and none before its load has paid off (four times
the time that it took), so that too many hot models make a replica slow and not useless. Settings: \`serving-settings.md\`.

## In simulation
${BASE.modelCount.toLocaleString("en")} models of 20 MiB to 1.5 GiB (log-normal, median 60 MiB), ${BASE.replicaCount} replicas, traffic by Zipf's law (exponent ${BASE.zipfExponent}), ${BASE.requestsPerSecond} requests a second for
${BASE.seconds / 60} minutes of virtual time; a load takes 250 ms and 1 s for each 500 MiB, and each replica loads one model after the other. The ${BASE.hotCount} most
called models have ${BASE.hotReplicas} copies. After ${BASE.lostAtSecond / 60} minutes a replica is lost, after ${BASE.backAtSecond / 60} it is back with nothing in memory. Memory of all replicas
together: 20 % of all models. Medians of ${SEEDS.length} seeds. Runs themselves take no time here: it is loads that are studied.

| placement | found in memory | loads | cold start ms, p50 / p99 | refused | busiest over mean | fullest over mean | moved at the loss (held by the lost one) | moved at the return |
|---|---|---|---|---|---|---|---|---|
${markdown(rows)}

![Hit rate over time](placement/hit-rate-over-time.svg)

![Hit rate by memory](placement/hit-rate-by-memory.svg)

![Cold starts by memory](placement/cold-start-by-memory.svg)

Hashing modulo the number of replicas moves most models whenever a replica comes or goes, and the fleet loads for a while
afterwards; rendezvous hashing moves what the lost replica held, and the bounds add nothing to that. With 250 models a replica
chance spreads them evenly enough, so that the bounds are hardly felt. With few models it does not. ${FEW.modelCount} models, memory for
${FEW.memoryFraction * 100} % of them, nothing lost:

| placement | found in memory | loads | cold start ms, p50 / p99 | refused | busiest over mean | fullest over mean |
|---|---|---|---|---|---|---|
${markdown(fewRows)}

Everything fits, but not everywhere: without bounds the fullest replica evicts while others have room. "Traffic known" is what
the function does when it is told how often models are called: work is spread more evenly. The registry does not tell it today,
since a rate that changes would move models; it is there for a registry that learns rates over days.
`;
}

function markdown(rows: readonly (readonly string[])[]): string {
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function withoutWeight({ name, replicaCount }: PlacedModel): PlacedModel {
  return { name, replicaCount };
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
}
