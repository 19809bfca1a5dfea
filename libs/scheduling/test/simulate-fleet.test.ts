import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simulateFleet, type FleetOptions } from "../bench/simulate-fleet.ts";
import { placeModels } from "../src/index.ts";

const FLEET: FleetOptions = {
  placement: placeModels,
  seed: 7,
  modelCount: 200,
  replicaCount: 4,
  memoryFraction: 0.4,
  zipfExponent: 1,
  requestsPerSecond: 12,
  seconds: 600,
  lostAtSecond: 300,
  backAtSecond: 450,
  hotCount: 5,
  hotReplicas: 2,
};

describe("a simulated fleet", () => {
  const result = simulateFleet(FLEET);

  it("gives the same result for the same seed, and another for another", () => {
    assert.deepEqual(simulateFleet(FLEET), result);
    assert.notEqual(simulateFleet({ ...FLEET, seed: 8 }).hitRate, result.hitRate);
  });

  it("never fills a replica above its budget, and refuses nobody", () => {
    assert.ok(result.memoryMost <= 1 && result.memoryMost > 0.9, `${result.memoryMost}`);
    assert.equal(result.refused, 0);
  });

  it("moves about what the lost replica held, and back again", () => {
    assert.ok(result.movedAtLoss >= result.lostCopies && result.movedAtLoss <= 1.5 * result.lostCopies, `${result.movedAtLoss} moved, ${result.lostCopies} lost`);
    assert.equal(result.movedAtReturn > 0, true);
  });

  it("finds more in memory the more of it there is, and everything when all of it fits", () => {
    const rates = [0.1, 0.4].map((memoryFraction) => simulateFleet({ ...FLEET, memoryFraction }).hitRate);
    const { lostAtSecond: _lost, backAtSecond: _back, ...whole } = FLEET;
    const all = simulateFleet({ ...whole, memoryFraction: 2, seconds: 3_000 });

    assert.ok((rates[0] ?? 1) < (rates[1] ?? 0), rates.join());
    assert.equal(all.evictions, 0);
    assert.ok(all.hitRate > 0.98, `${all.hitRate}`);
  });

  it("fills replicas within the bounds of the placement", () => {
    assert.ok(result.fullest <= 1.25 * 1.1, `${result.fullest}`);
  });
});
