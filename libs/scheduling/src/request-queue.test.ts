import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import fc from "fast-check";
import { PATIENCE_US, RequestQueue, type Arrival, type QueuePolicy, type RequestQueueOptions } from "./request-queue.ts";

const POLICY: QueuePolicy = { timeoutAction: "REJECT", defaultTimeoutUs: 0, allowTimeoutOverride: true, maxQueueSize: 0 };
const OPTIONS: RequestQueueOptions = { priorityLevels: 0, defaultPriorityLevel: 0, defaultPolicy: POLICY, policies: new Map(), queueSizeMax: 100 };
const arrival = (payload: string, change: Partial<Arrival<string>> = {}): Arrival<string> => ({ payload, size: 1, group: "", priority: 0, deadlineUs: Number.POSITIVE_INFINITY, timeoutUs: 0, ...change });
const queueOf = (options: Partial<RequestQueueOptions> = {}): RequestQueue<string> => new RequestQueue<string>({ ...OPTIONS, ...options });
const payloads = (requests: readonly { payload: string }[]): string[] => requests.map(({ payload }) => payload);
const reason = (want: Reason, says: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === want && says.test(error.message);

describe("request queue", () => {
  it("serves the earliest deadline first, and requests without one in the order of arrival", () => {
    const queue = queueOf();
    queue.push(arrival("first"), 0);
    queue.push(arrival("second"), 1);
    queue.push(arrival("urgent", { deadlineUs: 500 }), 2);

    assert.deepEqual(payloads(queue.take("", 10)), ["urgent", "first", "second"]);
  });

  it("lets nobody wait forever: without a deadline a request counts as due after a while", () => {
    const queue = queueOf();
    queue.push(arrival("patient"), 0);
    queue.push(arrival("later", { deadlineUs: PATIENCE_US + 1 }), 1);

    assert.deepEqual(payloads(queue.take("", 1)), ["patient"]);
  });

  it("serves level 1 before level 2, and fills a batch with lower levels", () => {
    const queue = queueOf({ priorityLevels: 2, defaultPriorityLevel: 2 });
    queue.push(arrival("low"), 0);
    queue.push(arrival("high", { priority: 1 }), 1);

    assert.equal(queue.head()?.payload, "high");
    assert.deepEqual(payloads(queue.take("", 8)), ["high", "low"]);
  });

  it("refuses a level that the model does not have", () => {
    assert.throws(() => queueOf({ priorityLevels: 2 }).push(arrival("x", { priority: 3 }), 0), reason("FIELD_INVALID", /priority 3 is above the model's 2 levels/));
  });

  it("says that it is full in the words that clients look for, per level and in all", () => {
    const queue = queueOf({ priorityLevels: 2, defaultPriorityLevel: 1, policies: new Map([[2, { ...POLICY, maxQueueSize: 1 }]]), queueSizeMax: 2 });
    queue.push(arrival("a", { priority: 2 }), 0);

    assert.throws(() => queue.push(arrival("b", { priority: 2 }), 0), reason("QUEUE_FULL", /^Exceeds maximum queue size/));
    queue.push(arrival("c", { priority: 1 }), 0);
    assert.throws(() => queue.push(arrival("d", { priority: 1 }), 0), reason("QUEUE_FULL", /^Exceeds maximum queue size/));
  });

  it("gives up requests that waited longer than they or their level allow", () => {
    const queue = queueOf({ defaultPolicy: { ...POLICY, defaultTimeoutUs: 100 } });
    queue.push(arrival("default"), 0);
    queue.push(arrival("own", { timeoutUs: 50 }), 0);
    queue.push(arrival("longer", { timeoutUs: 500 }), 0);

    assert.equal(queue.nextTimeoutUs(), 50);
    assert.deepEqual(payloads(queue.expire(60)), ["own"]);
    assert.deepEqual(payloads(queue.expire(100)).sort(), ["default", "longer"]); // A caller may only shorten the wait.
    assert.equal(queue.length, 0);
  });

  it("lets a delayed request wait on, behind all others", () => {
    const queue = queueOf({ defaultPolicy: { ...POLICY, timeoutAction: "DELAY", defaultTimeoutUs: 100 } });
    queue.push(arrival("old"), 0);
    assert.deepEqual(queue.expire(100), []);
    queue.push(arrival("new"), 100);

    assert.deepEqual(payloads(queue.take("", 2)), ["new", "old"]);
    assert.equal(queue.length, 0);
  });

  it("counts what a cancelled delayed request leaves at its level", () => {
    const queue = queueOf({ defaultPolicy: { ...POLICY, timeoutAction: "DELAY", defaultTimeoutUs: 100, maxQueueSize: 1 } });
    queue.push(arrival("old"), 0);
    queue.expire(100);
    queue.push(arrival("new"), 100);
    assert.throws(() => queue.push(arrival("third"), 100), reason("QUEUE_FULL", /./));
  });

  it("never mixes groups, never cuts a request, and loses none", () => {
    const item = fc.record({ group: fc.constantFrom("a", "b", "c"), size: fc.integer({ min: 1, max: 5 }), priority: fc.integer({ min: 0, max: 3 }), deadlineUs: fc.option(fc.nat(1_000), { nil: Number.POSITIVE_INFINITY }), cancelled: fc.boolean() });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), (items, batch) => {
        const queue = queueOf({ priorityLevels: 3, defaultPriorityLevel: 2 });
        const kept: string[] = [];
        for (const [index, { cancelled, ...each }] of items.entries()) {
          const request = queue.push(arrival(String(index), each), index);
          if (cancelled) queue.remove(request);
          else kept.push(String(index));
        }
        assert.equal(queue.length, kept.length);
        const served: string[] = [];
        for (let head = queue.head(); head !== undefined; head = queue.head()) {
          const taken = queue.take(head.group, batch);
          const elements = taken.reduce((sum, { size }) => sum + size, 0);
          assert.equal(taken[0], head);
          assert.ok(taken.every(({ group }) => group === head.group));
          assert.ok(elements <= batch || taken.length === 1);
          served.push(...payloads(taken));
        }
        assert.deepEqual(served.sort(), kept.sort());
        assert.equal(queue.elementCount, 0);
      }),
    );
  });
});
