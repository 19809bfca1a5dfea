import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LOADS_PAID_OFF, planEviction, type EvictionRequest, type ResidentModel } from "./eviction.ts";
import { seededRandom } from "./seeded-random.ts";

const model = (key: string, bytes: number, lastUsedMs: number, change: Partial<ResidentModel> = {}): ResidentModel => ({ key, bytes, lastUsedMs, loadedAtMs: 0, loadMs: 0, leaseCount: 0, pinned: false, ...change });
const plan = (residents: ResidentModel[], neededBytes: number, change: Partial<EvictionRequest> = {}) => planEviction({ residents, budgetBytes: 100, reservedBytes: 0, neededBytes, nowMs: 1_000, ...change });

describe("eviction", () => {
  it("evicts nobody while there is room, or no budget", () => {
    assert.deepEqual(plan([model("a", 60, 1)], 40), { kind: "fits", evict: [] });
    assert.deepEqual(plan([model("a", 60, 1)], 4_000, { budgetBytes: 0 }), { kind: "fits", evict: [] });
  });

  it("takes the least recently used first, and as many as it needs", () => {
    assert.deepEqual(plan([model("new", 40, 30), model("old", 20, 10), model("older", 30, 5)], 60), { kind: "fits", evict: ["older", "old"] });
  });

  it("lets those stay that turn out not to be needed", () => {
    assert.deepEqual(plan([model("tiny", 5, 1), model("big", 90, 2)], 50), { kind: "fits", evict: ["big"] });
  });

  it("spares models with requests and pinned ones", () => {
    assert.deepEqual(plan([model("held", 50, 1, { leaseCount: 1 }), model("free", 50, 2)], 50), { kind: "fits", evict: ["free"] });
    assert.deepEqual(plan([model("pinned", 50, 1, { pinned: true }), model("free", 50, 2)], 50), { kind: "fits", evict: ["free"] });
  });

  it("waits while everybody is held", () => {
    assert.deepEqual(plan([model("held", 80, 1, { leaseCount: 2 })], 50), { kind: "wait", retryAtMs: undefined });
  });

  it("waits until a load has paid off, and says when", () => {
    const fresh = model("fresh", 80, 990, { loadedAtMs: 900, loadMs: 50 });

    assert.deepEqual(plan([fresh], 50), { kind: "wait", retryAtMs: 900 + LOADS_PAID_OFF * 50 });
    assert.deepEqual(plan([fresh], 50, { nowMs: 1_100 }), { kind: "fits", evict: ["fresh"] });
  });

  it("spares what was used lately when nobody waits for the newcomer", () => {
    assert.deepEqual(plan([model("used", 80, 900)], 50, { spareUsedWithinMs: 500 }), { kind: "wait", retryAtMs: 1_400 });
    assert.deepEqual(plan([model("unused", 80, 400)], 50, { spareUsedWithinMs: 500 }), { kind: "fits", evict: ["unused"] });
  });

  it("counts what is being loaded as taken", () => {
    assert.deepEqual(plan([model("a", 40, 1)], 40, { reservedBytes: 30 }), { kind: "fits", evict: ["a"] });
    assert.deepEqual(plan([], 40, { reservedBytes: 70 }), { kind: "wait", retryAtMs: undefined });
  });

  it("says how much there is for a model that never fits", () => {
    assert.deepEqual(plan([model("pinned", 30, 1, { pinned: true })], 80), { kind: "never", availableBytes: 70 });
  });

  for (const seed of [11, 12, 13]) {
    it(`keeps its rules whatever comes (seed ${seed})`, () => {
      const random = seededRandom(seed);
      const below = (count: number): number => Math.floor(random() * count);
      for (let round = 0; round < 2_000; round++) {
        const residents = Array.from({ length: below(12) }, (_, index) =>
          model(`m${index}`, 1 + below(40), below(1_000), { loadedAtMs: below(1_000), loadMs: below(100), leaseCount: random() < 0.2 ? 1 : 0, pinned: random() < 0.1 }),
        );
        const request: EvictionRequest = { residents, budgetBytes: 100, reservedBytes: below(30), neededBytes: 1 + below(90), nowMs: 1_000 };
        const answer = planEviction(request);
        const free = (evicted: readonly string[]): number => 100 - request.reservedBytes - residents.filter(({ key }) => !evicted.includes(key)).reduce((total, { bytes }) => total + bytes, 0);
        if (answer.kind === "fits") {
          const gone = residents.filter(({ key }) => answer.evict.includes(key));
          assert.ok(gone.every(({ leaseCount, pinned, loadedAtMs, loadMs }) => leaseCount === 0 && !pinned && loadedAtMs + LOADS_PAID_OFF * loadMs <= 1_000));
          assert.ok(free(answer.evict) >= request.neededBytes);
          for (const key of answer.evict) assert.ok(free(answer.evict.filter((each) => each !== key)) < request.neededBytes, `${key} left in vain`);
        } else if (answer.kind === "wait") {
          const could = residents.filter(({ leaseCount, pinned, loadedAtMs, loadMs }) => leaseCount === 0 && !pinned && loadedAtMs + LOADS_PAID_OFF * loadMs <= 1_000).map(({ key }) => key);
          assert.ok(free(could) < request.neededBytes, "there was a way");
          assert.ok(answer.retryAtMs === undefined || answer.retryAtMs > 1_000);
        } else {
          assert.equal(answer.availableBytes < request.neededBytes, true);
        }
      }
    });
  }
});
