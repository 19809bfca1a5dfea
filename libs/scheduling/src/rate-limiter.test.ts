import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { seededRandom } from "./seeded-random.ts";
import { createRateLimiter, type RateLimit, type Release } from "./rate-limiter.ts";

/** Which of the runs began, once everything that could has. */
async function begun(...runs: Promise<Release>[]): Promise<boolean[]> {
  const seen = runs.map(() => false);
  runs.forEach((run, index) => void run.then(() => (seen[index] = true), () => {}));
  await new Promise((resolve) => setImmediate(resolve));
  return seen;
}

const one = (name: string, count = 1) => [{ name, count }];

describe("rate limiter", () => {
  it("lets an instance without resources run whenever it likes", async () => {
    const free = createRateLimiter().register({ model: "free", resources: [] });

    assert.deepEqual(await begun(free.acquire(), free.acquire(), free.acquire()), [true, true, true]);
  });

  it("runs one at a time where each takes all there is", async () => {
    const limiter = createRateLimiter();
    const [a, b] = [limiter.register({ model: "a", resources: one("bus") }), limiter.register({ model: "b", resources: one("bus") })];

    const [first, second] = [a.acquire(), b.acquire()];
    assert.deepEqual(await begun(first, second), [true, false]);
    assert.deepEqual(limiter.usage(), [{ name: "bus", device: 0, capacity: 1, held: 1 }]);

    (await first)();
    assert.deepEqual(await begun(second), [true]);
  });

  it("gives a resource as much as its greediest instance takes, unless a limit says otherwise", async () => {
    const open = createRateLimiter();
    open.register({ model: "greedy", resources: one("bus", 3) });
    const modest = open.register({ model: "modest", resources: one("bus") });
    assert.deepEqual(await begun(modest.acquire(), modest.acquire(), modest.acquire(), modest.acquire()), [true, true, true, false]);

    const limited = createRateLimiter([{ name: "bus", count: 5 }]).register({ model: "m", resources: one("bus", 2) });
    assert.deepEqual(await begun(limited.acquire(), limited.acquire(), limited.acquire()), [true, true, false]);
  });

  it("keeps the pools of two devices apart and a global one together", async () => {
    const limiter = createRateLimiter();
    const on = (device: number, global: boolean): RateLimit => limiter.register({ model: `m${device}`, device, resources: [{ name: global ? "licence" : "sm", count: 1, global }] });

    assert.deepEqual(await begun(on(0, false).acquire(), on(1, false).acquire()), [true, true]);
    assert.deepEqual(await begun(on(0, true).acquire(), on(1, true).acquire()), [true, false]);
  });

  it("gives priority 2 half as many runs as priority 1", async () => {
    const limiter = createRateLimiter();
    const log: string[] = [];
    const keepRunning = (model: string, priority: number): void => {
      const limit = limiter.register({ model, priority, resources: one("bus") });
      // Two that wait at any time, so that the limiter always has the choice.
      for (let lane = 0; lane < 2; lane++) void (async () => {
        while (log.length < 300) {
          const release = await limit.acquire();
          log.push(model);
          await Promise.resolve();
          release();
        }
      })();
    };
    keepRunning("first", 1);
    keepRunning("second", 2);
    while (log.length < 300) await new Promise((resolve) => setImmediate(resolve));

    const count = log.slice(0, 300).filter((model) => model === "first").length;
    assert.ok(Math.abs(count - 200) <= 2, `${count} of 300 runs`);
  });

  it("lets a model that comes late start at the present instead of running alone until it has caught up", async () => {
    const limiter = createRateLimiter();
    const early = limiter.register({ model: "early", resources: one("bus") });
    for (let run = 0; run < 100; run++) (await early.acquire())();
    const late = limiter.register({ model: "late", resources: one("bus") });

    const hold = await early.acquire();
    const order: string[] = [];
    const runs = [early, late, early, late, late, late].map(async (limit) => {
      const release = await limit.acquire();
      order.push(limit === early ? "early" : "late");
      release();
    });
    hold();
    await Promise.all(runs);

    assert.ok(order.slice(0, 4).filter((model) => model === "early").length === 2, order.join());
  });

  it("lets nobody pass who takes what an earlier run waits for, and everybody else", async () => {
    const limiter = createRateLimiter([{ name: "bus", count: 2 }, { name: "disk", count: 1 }]);
    const small = limiter.register({ model: "small", resources: one("bus") });
    const big = limiter.register({ model: "big", resources: one("bus", 2) });
    const other = limiter.register({ model: "other", resources: one("disk") });

    const holding = small.acquire();
    await holding;
    const [waits, behind, elsewhere] = [big.acquire(), small.acquire(), other.acquire()];
    assert.deepEqual(await begun(waits, behind, elsewhere), [false, false, true]);

    (await holding)();
    assert.deepEqual(await begun(waits, behind), [true, false]);
  });

  it("forgets a run whose caller left, and serves those behind it", async () => {
    const limiter = createRateLimiter();
    const limit = limiter.register({ model: "m", resources: one("bus") });
    const release = await limit.acquire();
    const abort = new AbortController();
    const [left, stays] = [limit.acquire(abort.signal), limit.acquire()];

    abort.abort(new DOMException("gone", "AbortError"));

    await assert.rejects(left, (error) => error instanceof StatusError && error.code === "CANCELLED");
    assert.equal(limiter.waitingCount, 1);
    release();
    assert.deepEqual(await begun(stays), [true]);
  });

  it("refuses an instance that could never run, and one name with two meanings", () => {
    const limiter = createRateLimiter([{ name: "bus", count: 1 }]);
    limiter.register({ model: "a", resources: one("sm") });

    assert.throws(() => limiter.register({ model: "m", resources: one("bus", 4) }), (error) => error instanceof StatusError && error.reason === "MODEL_LOAD_FAILED" && /limited to 1, a run of m takes 4/.test(error.message));
    assert.throws(() => limiter.register({ model: "m", resources: [{ name: "sm", count: 1, global: true }] }), (error) => error instanceof StatusError && /global in one model/.test(error.message));
  });

  for (const seed of [1, 2, 3, 4, 5]) {
    it(`never gives out more than there is, and serves everyone in the end (seed ${seed})`, async () => {
      const random = seededRandom(seed);
      const limits = ["a", "b", "c"].map((name) => ({ name, count: 1 + Math.floor(random() * 4) }));
      const limiter = createRateLimiter(limits);
      const instances = Array.from({ length: 8 }, (_, index) =>
        limiter.register({ model: `m${index}`, priority: Math.floor(random() * 4), resources: limits.filter(() => random() < 0.5).map(({ name, count }) => ({ name, count: 1 + Math.floor(random() * count) })) }),
      );
      let served = 0;
      const runs = Array.from({ length: 400 }, async () => {
        const limit = instances[Math.floor(random() * instances.length)] as RateLimit;
        const release = await limit.acquire();
        for (const { name, held, capacity } of limiter.usage()) assert.ok(held <= capacity, `${name}: ${held} of ${capacity}`);
        for (let turn = Math.floor(random() * 4); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
        release();
        release();
        served++;
      });
      await Promise.all(runs);

      assert.equal(served, 400);
      assert.deepEqual(limiter.usage().map(({ held }) => held), limiter.usage().map(() => 0));
    });
  }
});
