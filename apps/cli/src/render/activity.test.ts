import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ReplicaStatusSchema, type LoadedModelSchema } from "@servable/contracts/inference/v1/replica";
import { activityBetween, renderActivity, type StatusSample } from "./activity.ts";

const MODEL = { deployment: "projects/default/deployments/digits", version: 3n, state: "READY", enginePids: [41, 42], memoryBytes: 26_000_000n };

function sample(atMs: number, models: MessageInitShape<typeof LoadedModelSchema>[], unreachable: string[] = []): StatusSample {
  const replica = create(ReplicaStatusSchema, { replicaId: "local-0", registryConnected: true, startTime: { seconds: 40n }, models, memoryBudgetBytes: 1024n ** 3n, memoryUsedBytes: 26_000_000n, evictionCount: 2n });
  return { atMs, replicas: [replica], unreachable };
}

describe("activity", () => {
  it("counts rates and batches of the interval, not since the start", () => {
    const before = sample(100_000, [{ ...MODEL, successCount: 1_000n, failureCount: 5n, inferenceCount: 4_000n, executionCount: 2_000n }]);
    const after = sample(102_000, [{ ...MODEL, successCount: 1_100n, failureCount: 7n, inferenceCount: 4_400n, executionCount: 2_050n, latencyUsP50: 1_500n, latencyUsP99: 12_000n }]);

    const [model] = activityBetween(before, after).models;

    assert.deepEqual([model?.requestsPerSecond, model?.failuresPerSecond, model?.failures, model?.batchSize, model?.p50Ms, model?.p99Ms], [51, 1, 7, 8, 1.5, 12]);
  });

  it("counts a model that came or was loaded anew in between from zero", () => {
    const after = sample(101_000, [{ ...MODEL, successCount: 10n }]);

    assert.equal(activityBetween(sample(100_000, []), after).models[0]?.requestsPerSecond, 10);
    assert.equal(activityBetween(sample(100_000, [{ ...MODEL, successCount: 500n }]), after).models[0]?.requestsPerSecond, 10);
  });

  it("shows the busiest model first and knows no numbers of one that was never called", () => {
    const idle = { ...MODEL, deployment: "projects/default/deployments/a-idle", state: "IDLE", enginePids: [] };
    const activity = activityBetween(sample(100_000, [idle, MODEL]), sample(101_000, [idle, { ...MODEL, successCount: 3n }]));

    assert.deepEqual(activity.models.map(({ model, p50Ms, batchSize }) => [model, p50Ms, batchSize]), [["digits", undefined, undefined], ["a-idle", undefined, undefined]]);
  });

  it("is drawn as two tables that fit the terminal, with what is wrong below", () => {
    const failed = { ...MODEL, deployment: "projects/other/deployments/broken", state: "FAILED", message: "failed to load 'broken': no such operator", enginePids: [] };
    const activity = activityBetween(sample(100_000, []), sample(101_000, [{ ...MODEL, successCount: 20n, latencyUsP50: 830n }, failed], ["10.0.0.9:81"]));

    const text = renderActivity(activity);

    assert.match(text, /^1 replica · 2 model versions · 20 requests\/s over 1\.0 s · no answer from 10\.0\.0\.9:81$/m);
    assert.match(text, /^local-0 +serving +61 s +20 +0 +1 of 2 +24\.8 MiB of 1\.0 GiB +0 B +0 +2 +0$/m);
    assert.match(text, /^digits +3 +local-0 +READY +20 +0\.83 +– .*41 42$/m);
    assert.match(text, /^other\/broken +3 +local-0 +FAILED/m);
    assert.match(text, /^broken version 3 on local-0: failed to load 'broken': no such operator$/m);
    assert.ok(renderActivity(activity, 60).split("\n").every((line) => line.length <= 60));
  });
});
