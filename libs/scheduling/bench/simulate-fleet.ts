// A fleet in virtual time: requests arrive, find their replica by the placement, and find their model in memory or wait for
// its load. The decisions are those of the service, planEviction and a placement of choice; only time, loads and traffic are
// made up. What it leaves out: the runs themselves (a hit waits for nothing), and the network.

import { planEviction, seededRandom, type PlacedModel, type PlacementReplica, type ResidentModel } from "../src/index.ts";

/** Where models go: the function under test. */
export type Placement = (models: readonly PlacedModel[], replicas: readonly PlacementReplica[]) => Map<string, string[]>;

/** A fleet and what happens to it. */
export interface FleetOptions {
  readonly placement: Placement;
  readonly seed: number;
  readonly modelCount: number;
  readonly replicaCount: number;
  /** Memory of all replicas together over the size of all models. */
  readonly memoryFraction: number;
  /** Exponent of Zipf's law: the k-th model gets 1/k^s of the traffic. */
  readonly zipfExponent: number;
  readonly requestsPerSecond: number;
  readonly seconds: number;
  /** When a replica is lost, and when it is back with nothing in memory; undefined = never. */
  readonly lostAtSecond?: number;
  readonly backAtSecond?: number;
  /** Copies of the most called models. */
  readonly hotCount: number;
  readonly hotReplicas: number;
  /** Whether the placement is told what traffic models have. */
  readonly loadIsKnown?: boolean;
}

/** What came of it. */
export interface FleetResult {
  readonly requests: number;
  /** Part of the requests whose model was in memory; the first tenth, where memory fills, is left out, as in all below. */
  readonly hitRate: number;
  /** The same by tenths of the run's seconds, for plots: [second, rate]. */
  readonly hitRateOverTime: readonly (readonly [second: number, rate: number])[];
  readonly loads: number;
  readonly evictions: number;
  readonly refused: number;
  /** How long those waited whose model was not in memory. */
  readonly coldMsP50: number;
  readonly coldMsP99: number;
  /** How long all waited. */
  readonly waitMsP99: number;
  /** Requests of the busiest replica over the mean. */
  readonly busiest: number;
  /** Placed bytes of the fullest replica over the mean. */
  readonly fullest: number;
  /** Copies that the lost replica held, and copies that were placed anew because of it. */
  readonly lostCopies: number;
  readonly movedAtLoss: number;
  readonly movedAtReturn: number;
  /** Highest use of any replica's memory, over its budget. */
  readonly memoryMost: number;
}

const MEBIBYTE = 1024 ** 2;
/** A process, a session, and the bytes from disk. */
const LOAD_MS = 250;
const LOAD_BYTES_PER_MS = (500 * MEBIBYTE) / 1_000;
/** How long a request holds its model. */
const RUN_MS = 8;
const WAIT_MS_MAX = 30_000;
const LOOK_EVERY_MS = 20;
const BUCKETS = 60;

interface SimulatedModel extends PlacedModel {
  readonly bytes: number;
}

interface Loaded {
  readonly model: SimulatedModel;
  readonly readyAtMs: number;
  readonly loadMs: number;
  lastUsedMs: number;
  heldUntilMs: number;
}

interface SimulatedReplica extends PlacementReplica {
  readonly budgetBytes: number;
  readonly loaded: Map<string, Loaded>;
  requests: number;
  /** Disk and processor load one model after the other. */
  loaderFreeAtMs: number;
}

/** Runs a fleet. Deterministic: the same options give the same result. */
export function simulateFleet(options: FleetOptions): FleetResult {
  const random = seededRandom(options.seed);
  const models = makeModels(options, random);
  const totalBytes = models.reduce((sum, { bytes }) => sum + bytes, 0);
  const budgetBytes = Math.floor((options.memoryFraction * totalBytes) / options.replicaCount);
  const all = Array.from({ length: options.replicaCount }, (_, index): SimulatedReplica => ({ id: `replica-${index}`, budgetBytes, loaded: new Map(), requests: 0, loaderFreeAtMs: 0 }));
  const cumulative = zipf(options.modelCount, options.zipfExponent);
  const told: PlacedModel[] = options.loadIsKnown === true ? models : models.map(({ name, replicaCount, bytes }) => ({ name, replicaCount, bytes }));

  let live = all;
  let placed = options.placement(told, live);
  const first = placed;
  const lost = options.lostAtSecond === undefined ? undefined : all[Math.floor(options.replicaCount / 2)];
  const lostCopies = [...first.values()].filter((ids) => lost !== undefined && ids.includes(lost.id)).length;
  const moved = { loss: 0, back: 0 };
  const totals = { requests: 0, hits: 0, loads: 0, evictions: 0, refused: 0, memoryMost: 0 };
  const buckets = Array.from({ length: BUCKETS }, () => ({ requests: 0, hits: 0 }));
  const cold: number[] = [];
  const waits: number[] = [];
  const endMs = options.seconds * 1_000;
  const measuredFromMs = endMs / 10;
  const changes = [
    { atMs: (options.lostAtSecond ?? Infinity) * 1_000, live: all.filter((replica) => replica !== lost), key: "loss" as const },
    { atMs: (options.backAtSecond ?? Infinity) * 1_000, live: all, key: "back" as const },
  ];

  for (let nowMs = 0; ; ) {
    nowMs += (-Math.log(1 - random()) * 1_000) / options.requestsPerSecond;
    if (nowMs >= endMs) break;
    for (const change of changes.filter(({ atMs }) => atMs <= nowMs)) {
      change.atMs = Infinity;
      live = change.live;
      // What was in the memory of a lost process is gone; whoever no longer holds a model frees it.
      if (change.key === "loss") lost?.loaded.clear();
      const next = options.placement(told, live);
      moved[change.key] = [...next].reduce((sum, [name, ids]) => sum + ids.filter((id) => placed.get(name)?.includes(id) !== true).length, 0);
      placed = next;
      for (const replica of live) for (const name of replica.loaded.keys()) if (placed.get(name)?.includes(replica.id) !== true) replica.loaded.delete(name);
    }
    const model = models[draw(cumulative, random())] as SimulatedModel;
    const holders = live.filter(({ id }) => placed.get(model.name)?.includes(id) === true);
    const ready = holders.filter(({ loaded }) => (loaded.get(model.name)?.readyAtMs ?? Infinity) <= nowMs);
    const candidates = ready.length > 0 ? ready : holders;
    const replica = candidates[Math.floor(random() * candidates.length)];
    if (replica === undefined) continue;
    const waitMs = request(replica, model, nowMs);
    const used = [...replica.loaded.values()].reduce((sum, each) => sum + each.model.bytes, 0);
    totals.memoryMost = Math.max(totals.memoryMost, used / budgetBytes);
    const bucket = buckets[Math.floor((nowMs / endMs) * BUCKETS)];
    if (bucket !== undefined) {
      bucket.requests++;
      if (waitMs === 0) bucket.hits++;
    }
    if (nowMs < measuredFromMs) continue;
    replica.requests++;
    totals.requests++;
    if (waitMs === undefined) totals.refused++;
    else {
      if (waitMs === 0) totals.hits++;
      else cold.push(waitMs);
      waits.push(waitMs);
    }
  }

  /** How long a request waits for its model; undefined = it found no room in time. */
  function request(replica: SimulatedReplica, model: SimulatedModel, nowMs: number): number | undefined {
    const found = replica.loaded.get(model.name);
    if (found !== undefined) return use(found, nowMs);
    for (let atMs = nowMs; atMs <= nowMs + WAIT_MS_MAX; ) {
      const residents = [...replica.loaded.values()].filter(({ readyAtMs }) => readyAtMs <= atMs);
      const reservedBytes = [...replica.loaded.values()].filter(({ readyAtMs }) => readyAtMs > atMs).reduce((sum, each) => sum + each.model.bytes, 0);
      const plan = planEviction({
        residents: residents.map((each): ResidentModel => ({ key: each.model.name, bytes: each.model.bytes, lastUsedMs: each.lastUsedMs, loadedAtMs: each.readyAtMs, loadMs: each.loadMs, leaseCount: each.heldUntilMs > atMs ? 1 : 0, pinned: false })),
        budgetBytes: replica.budgetBytes ?? 0,
        reservedBytes,
        neededBytes: model.bytes,
        nowMs: atMs,
      });
      if (plan.kind === "never") return undefined;
      if (plan.kind === "fits") {
        for (const key of plan.evict) replica.loaded.delete(key);
        const startsAtMs = Math.max(atMs, replica.loaderFreeAtMs);
        const loadMs = LOAD_MS + model.bytes / LOAD_BYTES_PER_MS;
        replica.loaderFreeAtMs = startsAtMs + loadMs;
        const entry: Loaded = { model, readyAtMs: startsAtMs + loadMs, loadMs, lastUsedMs: startsAtMs + loadMs, heldUntilMs: 0 };
        replica.loaded.set(model.name, entry);
        if (nowMs >= measuredFromMs) {
          totals.loads++;
          totals.evictions += plan.evict.length;
        }
        return use(entry, nowMs);
      }
      // What is being loaded ends by itself; protections say when they end.
      atMs = Math.max(atMs + LOOK_EVERY_MS, Math.min(plan.retryAtMs ?? Infinity, ...[...replica.loaded.values()].map(({ readyAtMs }) => readyAtMs).filter((readyAtMs) => readyAtMs > atMs)));
      if (!Number.isFinite(atMs)) return undefined;
    }
    return undefined;
  }

  const bytesOn = (id: string): number => models.filter(({ name }) => first.get(name)?.includes(id) === true).reduce((sum, { bytes }) => sum + bytes, 0);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const overMean = (values: readonly number[]): number => Math.max(...values) / mean(values);
  return {
    requests: totals.requests,
    hitRate: totals.hits / totals.requests,
    hitRateOverTime: buckets.map(({ requests, hits }, index) => [((index + 0.5) * options.seconds) / BUCKETS, requests === 0 ? 0 : hits / requests]),
    loads: totals.loads,
    evictions: totals.evictions,
    refused: totals.refused,
    coldMsP50: quantile(cold, 0.5),
    coldMsP99: quantile(cold, 0.99),
    waitMsP99: quantile(waits, 0.99),
    busiest: overMean(all.map(({ requests }) => requests)),
    fullest: overMean(all.map(({ id }) => bytesOn(id))),
    lostCopies,
    movedAtLoss: moved.loss,
    movedAtReturn: moved.back,
    memoryMost: totals.memoryMost,
  };
}

function use(entry: Loaded, nowMs: number): number {
  const startsAtMs = Math.max(nowMs, entry.readyAtMs);
  entry.lastUsedMs = Math.max(entry.lastUsedMs, startsAtMs);
  entry.heldUntilMs = Math.max(entry.heldUntilMs, startsAtMs + RUN_MS);
  return startsAtMs - nowMs;
}

/** Sizes spread as in model hubs: most are small, few are large (log-normal, median 60 MiB). Rank and size are independent. */
function makeModels({ modelCount, hotCount, hotReplicas, zipfExponent, requestsPerSecond }: FleetOptions, random: () => number): SimulatedModel[] {
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const cumulative = zipf(modelCount, zipfExponent);
  return Array.from({ length: modelCount }, (_, rank) => ({
    name: `projects/p/deployments/model-${rank}`,
    replicaCount: rank < hotCount ? hotReplicas : 1,
    bytes: Math.round(MEBIBYTE * Math.min(1_500, Math.max(20, 60 * Math.exp(0.9 * normal())))),
    // In steps: what is told to the placement is an estimate, and must not move models when it wobbles.
    load: 4 ** Math.round(Math.log(requestsPerSecond * ((cumulative[rank] ?? 0) - (cumulative[rank - 1] ?? 0))) / Math.log(4)),
  }));
}

/** Cumulative shares by rank. */
function zipf(count: number, exponent: number): Float64Array {
  const shares = Float64Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** exponent);
  const total = shares.reduce((sum, share) => sum + share, 0);
  let sum = 0;
  return shares.map((share) => (sum += share / total));
}

function draw(cumulative: Float64Array, value: number): number {
  let [low, high] = [0, cumulative.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] ?? 1) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function quantile(values: number[], at: number): number {
  if (values.length === 0) return 0;
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(at * values.length))] ?? 0;
}
