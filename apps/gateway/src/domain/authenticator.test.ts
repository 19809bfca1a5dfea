import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashApiKey } from "@servable/auth";
import { StatusError, type Reason } from "@servable/errors";
import type { ApiKey, ApiKeyStore } from "../store/api-key-store.ts";
import { createAuthenticator, secretOf } from "./authenticator.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;
const KEY: ApiKey = { projectId: "p", id: "k", hash: hashApiKey("secret"), prefix: "sv_", role: "user", displayName: "", createTimeMs: 0, expireTimeMs: undefined, lastUseTimeMs: undefined };

function setUp(key: ApiKey = KEY) {
  const state = { nowMs: 0, lookups: 0, touches: [] as number[], stored: key as ApiKey | undefined, down: false };
  const store: Pick<ApiKeyStore, "findByHash" | "touch"> = {
    findByHash: async (hash) => {
      state.lookups += 1;
      if (state.down) throw new StatusError("DATABASE_UNAVAILABLE", "down");
      return state.stored?.hash === hash ? state.stored : undefined;
    },
    touch: async (_project, _id, timeMs) => void state.touches.push(timeMs),
  };
  return { state, authenticator: createAuthenticator(store as ApiKeyStore, () => state.nowMs) };
}

describe("authenticator", () => {
  it("asks the store once for calls that follow each other, and again later", async () => {
    const { state, authenticator } = setUp();
    await authenticator.authenticate("secret");
    const identity = await authenticator.authenticate("secret");
    assert.deepEqual(identity, { project: "p", principal: "projects/p/apiKeys/k", role: "user" });
    assert.equal(state.lookups, 1);

    state.nowMs = 10_000;
    await authenticator.authenticate("secret");

    assert.equal(state.lookups, 2);
  });

  it("notes the last use once a minute", async () => {
    const { state, authenticator } = setUp();
    for (const nowMs of [61_000, 62_000, 121_000]) {
      state.nowMs = nowMs;
      await authenticator.authenticate("secret");
    }
    await authenticator.settle();

    assert.deepEqual(state.touches, [60_000, 120_000]);
  });

  it("knows a revoked key no longer, even when it was being looked up meanwhile", async () => {
    const { state, authenticator } = setUp();
    const before = authenticator.authenticate("secret");
    authenticator.forget(KEY.hash);
    await before;
    state.stored = undefined;

    await assert.rejects(async () => authenticator.authenticate("secret"), reason("API_KEY_INVALID"));
  });

  it("refuses a key from its expiry on", async () => {
    const { state, authenticator } = setUp({ ...KEY, expireTimeMs: 5_000 });
    state.nowMs = 4_999;
    await authenticator.authenticate("secret");
    state.nowMs = 5_000;

    await assert.rejects(async () => authenticator.authenticate("secret"), reason("API_KEY_INVALID"));
  });

  it("goes on with known keys while the database is away, for a while", async () => {
    const { state, authenticator } = setUp();
    await authenticator.authenticate("secret");
    state.down = true;
    state.nowMs = 300_000;
    await authenticator.authenticate("secret");
    state.nowMs = 600_000;

    await assert.rejects(async () => authenticator.authenticate("secret"), reason("DATABASE_UNAVAILABLE"));
    await assert.rejects(async () => authenticator.authenticate("unknown"), reason("DATABASE_UNAVAILABLE"));
  });

  const headers = [
    { sent: { authorization: "Bearer abc" }, want: "abc" },
    { sent: { authorization: "bearer  abc " }, want: "abc" },
    { sent: { "x-api-key": "abc" }, want: "abc" },
    { sent: { authorization: "Basic abc", "x-api-key": "def" }, want: "def" },
    { sent: { authorization: "Basic abc" }, want: undefined },
  ];
  for (const { sent, want } of headers) {
    it(`reads ${JSON.stringify(sent)} as ${want ?? "no key"}`, () => {
      assert.equal(secretOf((name) => (sent as Record<string, string>)[name]), want);
    });
  }
});
