import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import type { UsageRecord } from "../store/usage-store.ts";
import type { Caller } from "./caller.ts";
import { createUsageRecorder } from "./usage-recorder.ts";

const CALLER: Caller = { identity: { project: "p", principal: "projects/p/apiKeys/k", role: "user" }, requestId: "r", signal: new AbortController().signal, deadline: undefined };
const MODEL = { model: "m", version: "" };

function setUp() {
  const state = { written: [] as UsageRecord[], failing: false, lost: 0, failures: 0 };
  let count = 0;
  const recorder = createUsageRecorder({
    store: {
      add: async (records) => {
        if (state.failing) throw new StatusError("DATABASE_UNAVAILABLE", "down");
        state.written.push(...records);
      },
      list: async () => [],
    },
    now: () => Date.now(),
    uniqueId: () => String((count += 1)),
    onLost: (lost) => (state.lost += lost),
    onWriteFailed: () => (state.failures += 1),
  });
  return { state, recorder };
}

describe("usage recorder", () => {
  it("writes at shutdown what waits, each call once", async () => {
    const { state, recorder } = setUp();
    await recorder.measure("ModelInfer", MODEL, CALLER, async (meter) => meter.addBytes(7));
    await assert.rejects(recorder.measure("ModelInfer", MODEL, CALLER, async () => Promise.reject(new StatusError("INPUT_MISSING", "x"))));
    const meter = recorder.begin("ModelStreamInfer", CALLER);
    meter.setUnits(3);
    meter.end(MODEL);
    meter.end(MODEL);

    await recorder[Symbol.asyncDispose]();

    assert.deepEqual(state.written.map(({ outcome, unitCount, sizeBytes }) => [outcome, unitCount, sizeBytes]), [["OK", 1, 7], ["INVALID_ARGUMENT", 0, 0], ["OK", 3, 0]]);
  });

  it("keeps records while the database is away, in order and once", async () => {
    const { state, recorder } = setUp();
    state.failing = true;
    await recorder.measure("ModelInfer", { ...MODEL, model: "first" }, CALLER, async () => {});
    await recorder.flush();
    await recorder.measure("ModelInfer", { ...MODEL, model: "second" }, CALLER, async () => {});
    state.failing = false;

    await recorder.flush();

    assert.ok(state.failures > 0);
    assert.deepEqual(state.written.map(({ model }) => model), ["first", "second"]);
    await recorder[Symbol.asyncDispose]();
  });

  it("has a bound, and reports what does not fit", async () => {
    const { state, recorder } = setUp();
    state.failing = true;
    await recorder.flush();
    for (let index = 0; index < 20_010; index += 1) recorder.begin("ModelInfer", CALLER).end(MODEL);

    assert.equal(state.lost, 10);

    state.failing = false;
    await recorder[Symbol.asyncDispose]();
    assert.equal(state.written.length, 20_000);
  });

  it("leaves nothing behind that would keep the process alive, and counts a call that outlives it as lost", async () => {
    const { state, recorder } = setUp();
    const meter = recorder.begin("ModelStreamInfer", CALLER);
    await recorder[Symbol.asyncDispose]();
    state.failing = true;
    const timersBefore = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

    meter.end(MODEL);

    assert.equal(state.lost, 1);
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length, timersBefore);
  });
});
