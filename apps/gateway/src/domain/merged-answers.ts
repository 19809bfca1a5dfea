// What several replicas say of their models, as if one had said it.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  InferStatisticsSchema,
  ModelStatisticsResponseSchema,
  RepositoryIndexResponseSchema,
  StatisticDurationSchema,
  type InferBatchStatistics,
  type InferResponseStatistics,
  type InferStatistics,
  type MemoryUsage,
  type ModelStatistics,
  type RepositoryIndexResponse_ModelIndex,
  type StatisticDuration,
} from "@servable/contracts/open-inference/grpc_service";

/** Best first: one replica that serves a version is enough. */
const STATES = ["READY", "LOADING", "UNLOADING", "UNAVAILABLE"];
/** What the index says of models that no replica holds. */
const UNLOADED = "unloaded";

/** Encoded RepositoryIndexResponses as one: every version once, in its best state. */
export function mergeIndexes(answers: readonly Uint8Array[]): Uint8Array {
  if (answers.length === 1 && answers[0] !== undefined) return answers[0];
  const entries = answers.flatMap((bytes) => fromBinary(RepositoryIndexResponseSchema, bytes).models);
  const held = new Set(entries.filter(({ reason }) => reason !== UNLOADED).map(({ name }) => name));
  const best = new Map<string, RepositoryIndexResponse_ModelIndex>();
  for (const entry of entries) {
    // A replica that does not hold a model knows it from the registry only.
    if (entry.reason === UNLOADED && held.has(entry.name)) continue;
    const key = `${entry.name}\0${entry.version}`;
    const known = best.get(key);
    if (known === undefined || STATES.indexOf(entry.state) < STATES.indexOf(known.state)) best.set(key, entry);
  }
  const models = [...best.values()].toSorted((a, b) => (a.name === b.name ? Number(a.version) - Number(b.version) : a.name < b.name ? -1 : 1));
  return toBinary(RepositoryIndexResponseSchema, create(RepositoryIndexResponseSchema, { models }));
}

/** Encoded ModelStatisticsResponses as one: counters added up, the latest time kept. */
export function mergeStatistics(answers: readonly Uint8Array[]): Uint8Array {
  if (answers.length === 1 && answers[0] !== undefined) return answers[0];
  const merged = new Map<string, ModelStatistics>();
  for (const stats of answers.flatMap((bytes) => fromBinary(ModelStatisticsResponseSchema, bytes).modelStats)) {
    const key = `${stats.name}\0${stats.version}`;
    const known = merged.get(key);
    if (known === undefined) merged.set(key, stats);
    else addStatistics(known, stats);
  }
  const modelStats = [...merged.values()].toSorted((a, b) => (a.name === b.name ? Number(a.version) - Number(b.version) : a.name < b.name ? -1 : 1));
  return toBinary(ModelStatisticsResponseSchema, create(ModelStatisticsResponseSchema, { modelStats }));
}

function addStatistics(target: ModelStatistics, other: ModelStatistics): void {
  if (other.lastInference > target.lastInference) target.lastInference = other.lastInference;
  target.inferenceCount += other.inferenceCount;
  target.executionCount += other.executionCount;
  target.inferenceStats = addInferStatistics(target.inferenceStats, other.inferenceStats);
  addBatches(target.batchStats, other.batchStats);
  addMemory(target.memoryUsage, other.memoryUsage);
  for (const [index, stats] of Object.entries(other.responseStats)) {
    const known = target.responseStats[index];
    if (known === undefined) target.responseStats[index] = stats;
    else addResponses(known, stats);
  }
}

function addInferStatistics(a: InferStatistics | undefined, b: InferStatistics | undefined): InferStatistics | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const keys = ["success", "fail", "queue", "computeInput", "computeInfer", "computeOutput", "cacheHit", "cacheMiss"] as const;
  return create(InferStatisticsSchema, Object.fromEntries(keys.map((key) => [key, sum(a[key], b[key])])));
}

function addBatches(target: InferBatchStatistics[], other: readonly InferBatchStatistics[]): void {
  for (const batch of other) {
    const known = target.find(({ batchSize }) => batchSize === batch.batchSize);
    if (known === undefined) target.push(batch);
    else for (const key of ["computeInput", "computeInfer", "computeOutput"] as const) known[key] = sum(known[key], batch[key]);
  }
  target.sort((a, b) => Number(a.batchSize - b.batchSize));
}

function addMemory(target: MemoryUsage[], other: readonly MemoryUsage[]): void {
  for (const usage of other) {
    const known = target.find(({ type, id }) => type === usage.type && id === usage.id);
    if (known === undefined) target.push(usage);
    else known.byteSize += usage.byteSize;
  }
}

function addResponses(target: InferResponseStatistics, other: InferResponseStatistics): void {
  for (const key of ["computeInfer", "computeOutput", "success", "fail", "emptyResponse", "cancel"] as const) target[key] = sum(target[key], other[key]);
}

function sum(a: StatisticDuration | undefined, b: StatisticDuration | undefined): StatisticDuration {
  return create(StatisticDurationSchema, { count: (a?.count ?? 0n) + (b?.count ?? 0n), ns: (a?.ns ?? 0n) + (b?.ns ?? 0n) });
}
