import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { retrying } from "./retry.ts";

const FAST = { firstWaitMs: 1, waitMsMax: 2, random: () => 0 };
const unavailable = (): StatusError => new StatusError("REPLICA_UNAVAILABLE", "away");

describe("retrying", () => {
  it("repeats a call while it is UNAVAILABLE", async () => {
    const attempts: number[] = [];

    const answer = await retrying(async (attempt) => {
      attempts.push(attempt);
      if (attempt < 3) throw unavailable();
      return "there";
    }, FAST);

    assert.equal(answer, "there");
    assert.deepEqual(attempts, [1, 2, 3]);
  });

  it("stops at its bound with the last failure", async () => {
    let attempts = 0;

    const failing = retrying(async () => {
      attempts += 1;
      throw unavailable();
    }, { ...FAST, attemptsMax: 3 });

    await assert.rejects(failing, (error) => error instanceof StatusError && error.reason === "REPLICA_UNAVAILABLE");
    assert.equal(attempts, 3);
  });

  it("does not repeat what a repetition cannot help", async () => {
    let attempts = 0;

    const failing = retrying(async () => {
      attempts += 1;
      throw new StatusError("MODEL_NOT_FOUND", "no such model");
    }, FAST);

    await assert.rejects(failing, (error) => error instanceof StatusError && error.reason === "MODEL_NOT_FOUND");
    assert.equal(attempts, 1);
  });

  it("ends its wait when the caller cancels", async () => {
    const controller = new AbortController();

    const failing = retrying(async () => {
      setImmediate(() => controller.abort());
      throw unavailable();
    }, { firstWaitMs: 60_000, waitMsMax: 60_000 }, controller.signal);

    await assert.rejects(failing, (error) => error instanceof StatusError && error.reason === "CANCELLED");
  });
});
