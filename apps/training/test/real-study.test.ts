import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CrossValidation_Kind } from "@servable/contracts/training/v1/training_job";
import { TuningSampler_Algorithm } from "@servable/contracts/training/v1/tuning_study";
import { seededRandom } from "@servable/testing";
import { childProcessInspector } from "../src/executor/child-process-inspector.ts";
import { startHarness } from "./support/harness.ts";
import { createStudy, endOfStudy, RATE, stateOf, valueAt } from "./support/study-calls.ts";

/** A ring around a disc: no line divides them. */
function ring(): string {
  const random = seededRandom(3);
  const rows = Array.from({ length: 160 }, (_, row) => {
    const angle = random.next() * 2 * Math.PI;
    const radius = row % 2 === 0 ? random.next() : 2 + random.next();
    return `${(radius * Math.cos(angle)).toFixed(3)},${(radius * Math.sin(angle)).toFixed(3)},${row % 2 === 0 ? "disc" : "ring"}`;
  });
  return ["x,y,shape", ...rows].join("\n");
}
const text = (stringValue: string) => ({ kind: { case: "stringValue" as const, value: stringValue } });

describe("a study with its real processes", () => {
  it("compares two families over folds and registers the better one", async () => {
    await using harness = await startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }) }, { concurrency: 2, queuedMax: 50 });
    await harness.upload("rows", { data: ring() });

    const { study, trials } = await endOfStudy(
      harness,
      await createStudy(harness, "ring", {
        spec: { targetColumn: "shape", epochCount: 12, batchSize: 16, seed: 1n },
        parameters: [
          { path: "family", domain: { case: "choices", value: { values: [text("LOGISTIC_REGRESSION"), text("MLP")] } } },
          { ...RATE, domain: { case: "range", value: { low: 1e-3, high: 0.1, log: true } } },
        ],
        objective: { metric: "accuracy" },
        crossValidation: { kind: CrossValidation_Kind.STRATIFIED, foldCount: 2 },
        sampler: { algorithm: TuningSampler_Algorithm.GRID, gridPointCount: 1 },
        parallelTrialCount: 2,
      }),
    );

    assert.equal(stateOf(study), "SUCCEEDED", study.failureMessage);
    assert.equal(valueAt(study.bestTrial, "family"), "MLP");
    assert.ok((study.bestTrial?.objective ?? 0) > 0.9, `accuracy ${study.bestTrial?.objective}`);
    assert.deepEqual(trials.map(({ foldObjectives }) => foldObjectives.length), [2, 2]);
    assert.equal(study.modelVersion, harness.registry.versions[0]?.name);
    assert.ok((harness.registry.versions[0]?.metrics["accuracy"] ?? 0) > 0.9);
  });
});
