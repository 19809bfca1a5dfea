import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { SequenceBatcher, type SequenceBatch, type SequenceBatcherOptions } from "./sequence-batcher.ts";
import type { SequenceRequest } from "./sequence-table.ts";

interface Run {
  readonly atMs: number;
  readonly instance: number;
  readonly rows: readonly string[];
  readonly finish: () => Promise<void>;
}

/** A batcher on a clock that stands until it is moved; requests are texts, "-" is a row that is not ready. */
function createWorld(options: Partial<SequenceBatcherOptions> = {}, groupOf = (_: SequenceRequest<string>): string => "") {
  let nowUs = 0;
  const timers = new Map<() => void, number>();
  const runs: Run[] = [];
  const refused: string[] = [];
  const batcher = new SequenceBatcher<string>(
    { model: "m", instanceCount: 1, slotsPerInstance: 2, maxIdleUs: 1_000_000, sequencesMax: 4, queuedPerSequenceMax: 8, strategy: { kind: "direct", maxQueueDelayUs: 0, minimumSlotUtilization: 0 }, ...options },
    {
      nowUs: () => nowUs,
      run: (batch: SequenceBatch<string>, instance) =>
        new Promise<void>((resolve) => {
          const finish = async (): Promise<void> => {
            resolve();
            await new Promise(setImmediate);
            fire();
          };
          runs.push({ atMs: nowUs / 1_000, instance, rows: batch.map((request) => request?.payload ?? "-"), finish });
        }),
      refuse: ({ payload }, { reason }) => refused.push(`${payload} ${reason}`),
      after: (delayUs, callback) => {
        timers.set(callback, nowUs + delayUs);
        return () => timers.delete(callback);
      },
      groupOf,
    },
  );
  const fire = (): void => {
    for (const [callback, atUs] of timers) if (atUs <= nowUs && timers.delete(callback)) callback();
  };
  return {
    batcher,
    runs,
    refused,
    /** "a1" is request 1 of sequence a; "^" begins and "$" ends it. */
    send: (text: string) => batcher.submit({ payload: text.replace(/[$^]/g, ""), id: text.replace("^", "")[0] ?? "", start: text.startsWith("^"), end: text.endsWith("$") }),
    /** Lets all requests of this moment arrive. */
    settle: fire,
    moveTo: (ms: number): void => {
      nowUs = ms * 1_000;
      fire();
    },
    rows: () => runs.map(({ rows }) => rows.join(" ")),
  };
}

const oldest = { kind: "oldest", maxBatchSize: 4, preferredBatchSizes: [], maxQueueDelayUs: 0 } as const;

describe("the sequence batcher", () => {
  it("gives each sequence a row of its own from its start to its end", async () => {
    const world = createWorld();
    world.send("^a1");
    world.send("^b1");
    world.settle();
    world.send("b2");
    await world.runs[0]?.finish();
    world.send("a2");
    await world.runs[1]?.finish();
    await world.runs[2]?.finish();

    assert.deepEqual(world.rows(), ["a1 b1", "- b2", "a2"]);
  });

  it("runs one request of a sequence at a time, in the order of arrival", async () => {
    const world = createWorld();
    for (const request of ["^a1", "a2", "a3$"]) world.send(request);
    world.settle();
    assert.deepEqual(world.rows(), ["a1"]);

    await world.runs[0]?.finish();
    await world.runs[1]?.finish();

    assert.deepEqual(world.rows(), ["a1", "a2", "a3"]);
  });

  it("lets sequences wait for a slot in their order, and gives a slot on when its sequence ends", async () => {
    const world = createWorld({ slotsPerInstance: 1 });
    for (const request of ["^a1$", "^b1", "^c1", "b2$"]) world.send(request);
    world.settle();
    for (let run = 0; run < 4; run++) await world.runs[run]?.finish();

    assert.deepEqual(world.rows(), ["a1", "b1", "b2", "c1"]);
  });

  it("spreads sequences over instances, which run side by side", () => {
    const world = createWorld({ instanceCount: 2 });
    for (const request of ["^a1", "^b1", "^c1"]) world.send(request);
    world.settle();

    assert.deepEqual(world.runs.map(({ instance, rows }) => [instance, rows.join(" ")]), [[0, "a1 c1"], [1, "b1"]]);
  });

  it("refuses a request of a sequence that was never started", () => {
    const world = createWorld();

    assert.throws(() => world.send("a1"), (error: unknown) => error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED" && error.message === "inference request for sequence a to model 'm' must specify the START flag on the first request of the sequence");
  });

  it("refuses requests behind END until START, and lets the id be used again", async () => {
    const world = createWorld();
    world.send("^a1$");

    assert.throws(() => world.send("a2"), (error: unknown) => error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED");
    world.send("^a3");
    world.send("a4");
    world.settle();
    await world.runs[0]?.finish();
    await world.runs[1]?.finish();
    assert.deepEqual(world.rows(), ["a1", "a3", "a4"]);
  });

  it("forgets a sequence that was idle for exactly as long as it may be", async () => {
    const world = createWorld({ maxIdleUs: 1_000_000 });
    world.send("^a1");
    world.settle();
    world.moveTo(10);
    await world.runs[0]?.finish();
    world.moveTo(1_009);
    world.send("a2");
    world.settle();
    await world.runs[1]?.finish();
    world.moveTo(2_008.999);
    assert.equal(world.batcher.sequenceCount, 1);
    world.moveTo(2_009);

    assert.equal(world.batcher.sequenceCount, 0);
    assert.throws(() => world.send("a3"), (error: unknown) => error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED");
  });

  it("does not count a sequence as idle while its request runs or waits", async () => {
    const world = createWorld({ slotsPerInstance: 1 });
    world.send("^a1$");
    world.send("^b1");
    world.settle();
    world.moveTo(5_000);
    await world.runs[0]?.finish();
    world.send("b2");
    await world.runs[1]?.finish();

    assert.deepEqual(world.rows(), ["a1", "b1", "b2"]);
  });

  it("gives the slot of a forgotten sequence to the one that waits", async () => {
    const world = createWorld({ slotsPerInstance: 1 });
    world.send("^a1");
    world.settle();
    await world.runs[0]?.finish();
    world.send("^b1");
    world.settle();
    assert.deepEqual(world.rows(), ["a1"]);

    world.moveTo(1_000);

    assert.deepEqual(world.rows(), ["a1", "b1"]);
  });

  it("knows a bounded number of sequences, and of requests of each", () => {
    const world = createWorld({ sequencesMax: 2, queuedPerSequenceMax: 2 });
    const full = (error: unknown): boolean => error instanceof StatusError && error.reason === "QUEUE_FULL" && error.code === "UNAVAILABLE" && error.message.startsWith("Exceeds maximum queue size");
    for (const request of ["^a1", "^b1", "a2"]) world.send(request);

    assert.throws(() => world.send("^c1"), full);
    assert.throws(() => world.send("a3"), full);
  });

  it("ends a sequence of which a request was cancelled: what waits is refused, what follows needs START", async () => {
    const world = createWorld();
    world.send("^a1");
    world.settle();
    const cancelled = world.send("a2");
    world.send("a3");
    world.batcher.cancel(cancelled);

    assert.deepEqual(world.refused, ["a2 SEQUENCE_ABORTED", "a3 SEQUENCE_ABORTED"]);
    assert.throws(() => world.send("a4"), (error: unknown) => error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED");
    await world.runs[0]?.finish();
    assert.equal(world.batcher.sequenceCount, 0);
    assert.equal(world.batcher.queueLength, 0);
  });

  it("keeps the row of a cancelled sequence until its run has ended", async () => {
    const world = createWorld({ slotsPerInstance: 1 });
    const running = world.send("^a1");
    world.settle();
    world.batcher.cancel(running);
    world.send("^a2");
    world.settle();
    assert.deepEqual(world.rows(), ["a1"]);

    await world.runs[0]?.finish();

    assert.deepEqual(world.rows(), ["a1", "a2"]);
  });

  it("waits for the utilization that was asked for, at most as long as allowed", () => {
    const world = createWorld({ slotsPerInstance: 4, strategy: { kind: "direct", maxQueueDelayUs: 5_000, minimumSlotUtilization: 0.5 } });
    world.send("^a1");
    world.settle();
    world.moveTo(4.999);
    assert.deepEqual(world.rows(), []);
    world.moveTo(5);
    assert.deepEqual(world.rows(), ["a1"]);
  });

  it("runs at once when enough rows are ready", () => {
    const world = createWorld({ slotsPerInstance: 4, strategy: { kind: "direct", maxQueueDelayUs: 5_000, minimumSlotUtilization: 0.5 } });
    world.send("^a1");
    world.settle();
    world.moveTo(1);
    world.send("^b1");
    world.settle();

    assert.deepEqual(world.runs.map(({ atMs, rows }) => [atMs, rows.join(" ")]), [[1, "a1 b1"]]);
  });

  it("keeps a row of another shape for the next batch", async () => {
    const world = createWorld({}, ({ payload }) => (payload === "b1" ? "wide" : "narrow"));
    world.send("^a1");
    world.send("^b1");
    world.settle();
    await world.runs[0]?.finish();

    assert.deepEqual(world.rows(), ["a1", "- b1"]);
  });
});

describe("the oldest strategy", () => {
  it("fills batches with whatever is ready, the oldest first, without empty rows", async () => {
    const world = createWorld({ slotsPerInstance: 4, strategy: oldest });
    for (const request of ["^a1", "a2", "^b1"]) world.send(request);
    world.settle();
    world.moveTo(1);
    world.send("b2");
    world.send("^c1");
    await world.runs[0]?.finish();

    assert.deepEqual(world.rows(), ["a1 b1", "a2 b2 c1"]);
  });

  it("takes at most as many candidates as allowed; the others wait", async () => {
    const world = createWorld({ slotsPerInstance: 2, strategy: oldest });
    for (const request of ["^a1$", "^b1", "^c1"]) world.send(request);
    world.settle();
    await world.runs[0]?.finish();

    assert.deepEqual(world.rows(), ["a1 b1", "c1"]);
  });

  it("takes at most a full batch", async () => {
    const world = createWorld({ slotsPerInstance: 3, strategy: { ...oldest, maxBatchSize: 2 } });
    for (const request of ["^a1", "^b1", "^c1"]) world.send(request);
    world.settle();
    await world.runs[0]?.finish();

    assert.deepEqual(world.rows(), ["a1 b1", "c1"]);
  });

  it("waits for a preferred size at most as long as allowed, and runs it at once when it is there", async () => {
    const world = createWorld({ slotsPerInstance: 4, strategy: { ...oldest, preferredBatchSizes: [2], maxQueueDelayUs: 3_000 } });
    world.send("^a1");
    world.settle();
    world.moveTo(2);
    world.send("^b1");
    world.send("^c1");
    world.settle();
    assert.deepEqual(world.runs.map(({ atMs, rows }) => [atMs, rows.join(" ")]), [[2, "a1 b1"]]);

    await world.runs[0]?.finish();
    world.moveTo(5);

    assert.deepEqual(world.runs.map(({ atMs, rows }) => [atMs, rows.join(" ")]), [[2, "a1 b1"], [5, "c1"]]);
  });

  it("refuses all that waits when it is closed", () => {
    const world = createWorld({ slotsPerInstance: 1, strategy: oldest });
    for (const request of ["^a1", "^b1"]) world.send(request);
    world.batcher.close(new StatusError("SHUTTING_DOWN", "bye"));

    assert.deepEqual(world.refused, ["a1 SHUTTING_DOWN", "b1 SHUTTING_DOWN"]);
    assert.equal(world.batcher.sequenceCount, 0);
  });
});
