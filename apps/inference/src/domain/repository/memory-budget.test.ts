import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { MemoryBudget, type BudgetedModel, type MemorySeat } from "./memory-budget.ts";

const reason = (want: Reason, says: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === want && says.test(error.message);

/** A budget of 100 bytes on a clock that the test turns. */
function harness(budgetBytes = 100) {
  const clock = { nowMs: 1_000_000 };
  const evicted: string[] = [];
  const budget = new MemoryBudget({ budgetBytes, waitMsMax: 5_000, now: () => clock.nowMs });
  const model = (key: string, more: Partial<{ pinned: boolean; inFlight: number; lastUsedMs: number }> = {}) => {
    const made = { key, name: key, pinned: false, inFlight: 0, lastUsedMs: clock.nowMs, ...more, evict: async () => void evicted.push(key) };
    return made satisfies BudgetedModel;
  };
  const load = async (each: BudgetedModel, bytes: number): Promise<MemorySeat> => {
    const seat = await budget.admit(each, bytes, true);
    assert.ok(seat !== undefined);
    seat.settle();
    return seat;
  };
  return { clock, evicted, budget, model, load };
}

describe("memory budget", () => {
  it("sends the least recently used model away for one that is asked for", async () => {
    const { budget, evicted, model, load } = harness();
    await load(model("old", { lastUsedMs: 1 }), 40);
    await load(model("new", { lastUsedMs: 2 }), 40);

    await load(model("asked"), 50);

    assert.deepEqual([evicted, budget.usedBytes, budget.evictionCount], [["old"], 90, 1]);
  });

  it("gives a load that nobody waits for what is free, and sends nobody away who was used lately", async () => {
    const { budget, clock, evicted, model, load } = harness();
    await load(model("used"), 80);

    assert.equal(await budget.admit(model("eager"), 50, false), undefined);
    assert.ok(await budget.admit(model("small"), 20, false));
    clock.nowMs += 61_000;
    assert.ok(await budget.admit(model("eager"), 50, false));
    assert.deepEqual(evicted, ["used"]);
  });

  it("waits for requests to end and evicts nobody meanwhile", async () => {
    const { budget, evicted, model, load } = harness();
    const busy = model("busy", { inFlight: 1 });
    await load(busy, 80);

    const asked = budget.admit(model("asked"), 50, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([evicted, budget.waitingCount], [[], 1]);
    busy.inFlight = 0;

    assert.ok(await asked);
    assert.deepEqual([evicted, budget.waitingCount], [["busy"], 0]);
  });

  it("names the bytes when no room comes in time, and goes on with the next load", async () => {
    const { budget, clock, model, load } = harness();
    await load(model("busy", { inFlight: 1 }), 80);

    const [asked, next] = [budget.admit(model("asked"), 50, true), budget.admit(model("next"), 10, true)];
    await new Promise((resolve) => setImmediate(resolve));
    clock.nowMs += 5_001;

    await assert.rejects(asked, reason("MEMORY_BUDGET_FULL", /'asked' needs about 50 bytes .*80 of 100 bytes are held/));
    assert.ok(await next);
  });

  it("refuses at once what will never fit, and says how much there is", async () => {
    const { budget, model, load } = harness();
    await load(model("pinned", { pinned: true }), 30);

    await assert.rejects(budget.admit(model("huge"), 71, true), reason("MODEL_TOO_LARGE", /needs about 71 bytes of memory, 70 of 100 are there/));
  });

  it("counts a load in progress, and gives its memory back when it fails", async () => {
    const { budget, model } = harness();
    const loading = await budget.admit(model("loading"), 80, true);
    assert.equal(await budget.admit(model("other"), 30, false), undefined);

    loading?.release();
    loading?.release();

    assert.equal(budget.usedBytes, 0);
    assert.ok(await budget.admit(model("other"), 30, false));
  });

  it("admits loads in the order in which they came, whatever their size", async () => {
    const { budget, model, load } = harness();
    const busy = model("busy", { inFlight: 1 });
    await load(busy, 60);
    const order: string[] = [];
    const ask = async (key: string, bytes: number): Promise<void> => {
      (await budget.admit(model(key), bytes, true))?.settle();
      order.push(key);
    };

    const asked = [ask("large", 90), ask("small", 5)];
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(order, []);
    busy.inFlight = 0;
    await Promise.all(asked);

    assert.deepEqual(order, ["large", "small"]);
  });

  it("sends models away when they turn out larger than they seemed", async () => {
    const { budget, evicted, model, load } = harness();
    await load(model("old", { lastUsedMs: 1 }), 40);
    const grown = await load(model("grown"), 40);

    grown.measured(70);
    await budget.trim();

    assert.deepEqual([evicted, budget.usedBytes], [["old"], 70]);
  });

  it("has no limit at 0", async () => {
    const { budget, evicted, model, load } = harness(0);
    for (let index = 0; index < 10; index++) await load(model(`m${index}`), 1e12);

    assert.deepEqual([evicted, budget.loadCount], [[], 10]);
  });
});
