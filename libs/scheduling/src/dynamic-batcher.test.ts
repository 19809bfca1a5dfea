import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import fc from "fast-check";
import { DynamicBatcher, type DynamicBatcherOptions } from "./dynamic-batcher.ts";
import type { Arrival, QueuePolicy } from "./request-queue.ts";

const POLICY: QueuePolicy = { timeoutAction: "REJECT", defaultTimeoutUs: 0, allowTimeoutOverride: true, maxQueueSize: 0 };
const OPTIONS: DynamicBatcherOptions = {
  maxBatchSize: 4, preferredBatchSizes: [], maxQueueDelayUs: 0, latencyGoalUs: undefined, instanceCount: 1,
  priorityLevels: 0, defaultPriorityLevel: 0, defaultPolicy: POLICY, policies: new Map(), queueSizeMax: 1_000,
};

/** A batcher under a clock that the test turns; runs take what `runUs` says. */
function harness(change: Partial<DynamicBatcherOptions> = {}, runUs: (elements: number) => number = () => 1_000) {
  const timers: { atUs: number; callback: () => void }[] = [];
  const batches: { payloads: string[]; instance: number; startUs: number }[] = [];
  const refused = new Map<string, StatusError>();
  const up = [true, true, true];
  const freeAtUs = [0, 0, 0];
  let nowUs = 0;
  const after = (delayUs: number, callback: () => void): (() => void) => {
    const timer = { atUs: nowUs + delayUs, callback };
    timers.push(timer);
    return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
  };
  const batcher = new DynamicBatcher<string>(
    { ...OPTIONS, ...change },
    {
      nowUs: () => nowUs,
      after,
      isUp: (instance) => up[instance] === true,
      refuse: ({ payload }, error) => void refused.set(payload, error),
      run: (batch, instance) => {
        const startUs = Math.max(nowUs, freeAtUs[instance] ?? 0);
        const tookUs = runUs(batch.reduce((sum, { size }) => sum + size, 0));
        freeAtUs[instance] = startUs + tookUs;
        batches.push({ payloads: batch.map(({ payload }) => payload), instance, startUs });
        return new Promise((resolve) => after(startUs + tookUs - nowUs, () => resolve({ runUs: tookUs })));
      },
    },
  );
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  /** Turns the clock, timer by timer. */
  const advance = async (us: number): Promise<void> => {
    const untilUs = nowUs + us;
    for (;;) {
      await settle();
      const next = timers.filter(({ atUs }) => atUs <= untilUs).sort((a, b) => a.atUs - b.atUs)[0];
      if (next === undefined) break;
      timers.splice(timers.indexOf(next), 1);
      nowUs = Math.max(nowUs, next.atUs);
      next.callback();
    }
    nowUs = untilUs;
  };
  const submit = (payload: string, own: Partial<Arrival<string>> = {}) => batcher.submit({ payload, size: 1, group: "", priority: 0, deadlineUs: Number.POSITIVE_INFINITY, timeoutUs: 0, ...own });
  return { batcher, submit, advance, batches, refused, up, now: () => nowUs };
}
const groups = (batches: readonly { payloads: string[] }[]): string[] => batches.map(({ payloads }) => payloads.join(""));
const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

describe("dynamic batcher", () => {
  it("runs together what has arrived together, without a wait", async () => {
    const { submit, advance, batches } = harness();
    for (const name of "abc") submit(name);
    await advance(0);

    assert.deepEqual(groups(batches), ["abc"]);
  });

  it("gathers what arrives while a batch runs, up to the largest size", async () => {
    const { submit, advance, batches } = harness();
    submit("a");
    await advance(0);
    for (const name of "bcdefg") submit(name);
    await advance(10_000);

    assert.deepEqual(groups(batches), ["a", "bcde", "fg"]);
  });

  it("lets a full batch stand ready behind a running one, so that the engine never idles, but no half-full one", async () => {
    const { submit, advance, batches } = harness();
    submit("a");
    await advance(0);
    for (const name of "bcde") submit(name);
    await advance(0);
    assert.deepEqual(groups(batches), ["a", "bcde"]);
    assert.equal(batches[1]?.startUs, 1_000);

    submit("f");
    await advance(500);
    assert.equal(batches.length, 2);
    submit("g");
    await advance(2_000);
    assert.deepEqual(groups(batches), ["a", "bcde", "fg"]);
  });

  it("waits for company as long as it is told, and not longer", async () => {
    const { submit, advance, batches, now } = harness({ maxQueueDelayUs: 300 });
    submit("a");
    await advance(200);
    submit("b");
    assert.equal(batches.length, 0);
    await advance(100);

    assert.deepEqual(groups(batches), ["ab"]);
    assert.equal(batches[0]?.startUs, now());
  });

  it("does not wait once a preferred size is reached, and takes just that many", async () => {
    const { submit, advance, batches } = harness({ maxQueueDelayUs: 10_000, preferredBatchSizes: [2], maxBatchSize: 8 });
    for (const name of "abc") submit(name);
    await advance(0);
    assert.deepEqual(groups(batches), ["ab"]);

    await advance(10_000);
    assert.deepEqual(groups(batches), ["ab", "c"]);
  });

  it("spreads batches over the instances that are up", async () => {
    const { batcher, submit, advance, batches, up } = harness({ instanceCount: 3, maxBatchSize: 1 });
    up[1] = false;
    for (const name of "abc") submit(name);
    await advance(0);
    assert.deepEqual(batches.map(({ instance }) => instance), [0, 2, 0]);

    submit("d");
    up[1] = true;
    batcher.wake();
    await advance(0);
    assert.equal(batches[3]?.instance, 1);
  });

  it("keeps requests of different shapes apart", async () => {
    const { submit, advance, batches } = harness({ instanceCount: 2 });
    submit("a", { group: "x" });
    submit("b", { group: "y" });
    submit("c", { group: "x" });
    await advance(0);

    assert.deepEqual(groups(batches), ["ac", "b"]);
  });

  it("runs a request that is larger than a batch by itself", async () => {
    const { submit, advance, batches } = harness({ instanceCount: 1 });
    submit("a", { size: 9 });
    submit("b");
    await advance(10_000);

    assert.deepEqual(groups(batches), ["a", "b"]);
  });

  it("refuses at once what cannot be answered in time, once it knows what runs take", async () => {
    const { submit, advance, now } = harness({ maxBatchSize: 1 });
    for (let index = 0; index < 20; index++) {
      submit("x");
      await advance(1_000);
    }

    assert.throws(() => submit("late", { deadlineUs: now() + 900 }), reason("DEADLINE_EXCEEDED"));
    submit("in time", { deadlineUs: now() + 1_100 });
    assert.throws(() => submit("behind it", { deadlineUs: now() + 1_900 }), reason("DEADLINE_EXCEEDED"));
  });

  it("refuses what waited longer than it may, although the engine is busy", async () => {
    const { submit, advance, refused } = harness({ maxBatchSize: 1 }, () => 1_000_000);
    submit("a");
    submit("b");
    await advance(0);
    submit("c", { timeoutUs: 5_000 });
    await advance(6_000);

    assert.equal(refused.get("c")?.reason, "REQUEST_TIMEOUT");
    assert.match(refused.get("c")?.message ?? "", /^Request timeout expired/);
  });

  it("drops a request whose deadline passed while it waited, and one that was cancelled", async () => {
    const { batcher, submit, advance, batches, refused } = harness({ maxBatchSize: 1 });
    submit("a");
    submit("b");
    await advance(0);
    submit("c", { deadlineUs: 900 });
    const cancelled = submit("d");
    batcher.cancel(cancelled);
    await advance(10_000);

    assert.deepEqual(groups(batches), ["a", "b"]);
    assert.equal(refused.get("c")?.reason, "DEADLINE_EXCEEDED");
  });

  it("keeps batches small enough for the latency goal", async () => {
    const { batcher, submit, advance } = harness({ maxBatchSize: 64, latencyGoalUs: 10_000 }, (elements) => 500 * elements);
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < 64; index++) submit("x");
      await advance(1_000_000);
    }

    // Two runs have to fit 10 ms at 0.5 ms an element: ten, or fewer where queues of several batches formed.
    assert.ok(batcher.batchSizeLimit >= 1 && batcher.batchSizeLimit <= 10, `limit ${batcher.batchSizeLimit}`);
  });

  it("stops to batch where batches gain nothing, and still looks now and then", async () => {
    const { submit, advance, batches } = harness({ maxBatchSize: 8 }, (elements) => 1_000 * elements);
    for (let round = 0; round < 60; round++) {
      for (let index = 0; index < (round % 2 === 0 ? 8 : 1); index++) submit("x");
      await advance(1_000_000);
    }

    const late = batches.slice(-100).map(({ payloads }) => payloads.length);
    assert.ok(late.filter((size) => size === 1).length >= 98, late.join(" "));
  });

  it("refuses all that waits when it is closed", async () => {
    const { batcher, submit, advance, refused } = harness({ maxBatchSize: 1 });
    for (const name of "abc") submit(name);
    await advance(0);
    batcher.close(new StatusError("MODEL_NOT_READY", "unloaded"));

    assert.deepEqual([...refused.keys()], ["c"]);
  });

  it("answers every request exactly once, whatever arrives when", async () => {
    const step = fc.record({ waitUs: fc.nat(1_500), size: fc.integer({ min: 1, max: 3 }), group: fc.constantFrom("x", "y"), priority: fc.integer({ min: 0, max: 2 }), deadlineInUs: fc.option(fc.nat(4_000), { nil: undefined }), timeoutUs: fc.nat(3_000), cancel: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), fc.nat(800), async (steps, instanceCount, maxQueueDelayUs) => {
        const { batcher, submit, advance, batches, refused, now } = harness({ instanceCount, maxQueueDelayUs, priorityLevels: 2, defaultPriorityLevel: 2 }, (elements) => 200 + 100 * elements);
        const waiting = new Set<string>();
        for (const [index, { waitUs, size, group, priority, deadlineInUs, timeoutUs, cancel }] of steps.entries()) {
          const name = `${index};`;
          try {
            const request = submit(name, { size, group, priority, timeoutUs, deadlineUs: deadlineInUs === undefined ? Number.POSITIVE_INFINITY : now() + deadlineInUs });
            if (cancel) batcher.cancel(request);
            else waiting.add(name);
          } catch (error) {
            assert.ok(reason("DEADLINE_EXCEEDED")(error));
          }
          await advance(waitUs);
        }
        await advance(10_000_000);

        const ended = [...batches.flatMap(({ payloads }) => payloads), ...refused.keys()];
        assert.deepEqual(ended.sort(), [...waiting].sort());
        assert.equal(batcher.queueLength, 0);
      }),
      { numRuns: 60 },
    );
  });
});
