import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelStatisticsResponseSchema, RepositoryIndexResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { mergeIndexes, mergeStatistics } from "./merged-answers.ts";

const index = (models: MessageInitShape<typeof RepositoryIndexResponseSchema>["models"]) => toBinary(RepositoryIndexResponseSchema, create(RepositoryIndexResponseSchema, { models: models ?? [] }));
const statistics = (modelStats: MessageInitShape<typeof ModelStatisticsResponseSchema>["modelStats"]) => toBinary(ModelStatisticsResponseSchema, create(ModelStatisticsResponseSchema, { modelStats: modelStats ?? [] }));

describe("merged answers", () => {
  it("list every version once, in the best state that a replica reports", () => {
    const merged = mergeIndexes([
      index([{ name: "b", version: "2", state: "LOADING" }, { name: "a", version: "1", state: "UNAVAILABLE", reason: "unloaded" }, { name: "c", version: "1", state: "UNAVAILABLE", reason: "unloaded" }]),
      index([{ name: "b", version: "2", state: "READY" }, { name: "b", version: "10", state: "UNAVAILABLE", reason: "it crashed" }, { name: "a", version: "1", state: "READY" }, { name: "c", version: "1", state: "UNAVAILABLE", reason: "unloaded" }]),
    ]);

    const lines = fromBinary(RepositoryIndexResponseSchema, merged).models.map(({ name, version, state, reason }) => `${name} ${version} ${state} ${reason}`.trim());
    assert.deepEqual(lines, ["a 1 READY", "b 2 READY", "b 10 UNAVAILABLE it crashed", "c 1 UNAVAILABLE unloaded"]);
  });

  it("add counters up and keep the latest time", () => {
    const one = (count: bigint, batchSize: bigint) => ({
      name: "m",
      version: "1",
      lastInference: count * 10n,
      inferenceCount: count,
      executionCount: 1n,
      inferenceStats: { success: { count, ns: 100n } },
      batchStats: [{ batchSize: 1n, computeInfer: { count: 1n, ns: 5n } }, { batchSize, computeInfer: { count: 1n, ns: 7n } }],
      memoryUsage: [{ type: "CPU", id: 0n, byteSize: 1000n }],
      responseStats: { "0": { success: { count: 2n, ns: 3n } } },
    });

    const merged = fromBinary(ModelStatisticsResponseSchema, mergeStatistics([statistics([one(3n, 4n)]), statistics([one(5n, 8n), { name: "other", version: "1" }])])).modelStats;

    assert.deepEqual(merged.map(({ name }) => name), ["m", "other"]);
    const [m] = merged;
    assert.deepEqual([m?.lastInference, m?.inferenceCount, m?.executionCount], [50n, 8n, 2n]);
    assert.deepEqual([m?.inferenceStats?.success?.count, m?.inferenceStats?.success?.ns, m?.inferenceStats?.fail?.count], [8n, 200n, 0n]);
    assert.deepEqual(m?.batchStats.map(({ batchSize, computeInfer }) => [batchSize, computeInfer?.ns]), [[1n, 10n], [4n, 7n], [8n, 7n]]);
    assert.equal(m.memoryUsage[0]?.byteSize, 2000n);
    assert.equal(m.responseStats["0"]?.success?.count, 4n);
  });
});
